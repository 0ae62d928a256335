//! The Lambda binary of `fhir-bundle`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_bundle::FUNCTION)
}
