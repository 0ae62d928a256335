//! The Lambda binary of `fhir-auxiliary-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_auxiliary_read::FUNCTION)
}
