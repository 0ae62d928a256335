//! The Lambda binary of `fhir-metadata`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_metadata::FUNCTION)
}
