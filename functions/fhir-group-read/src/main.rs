//! The Lambda binary of `fhir-group-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_group_read::FUNCTION)
}
