//! The Lambda binary of `fhir-sources`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_sources::FUNCTION)
}
