//! The Lambda binary of `fhir-group-export`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_group_export::FUNCTION)
}
