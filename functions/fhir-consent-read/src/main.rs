//! The Lambda binary of `fhir-consent-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_consent_read::FUNCTION)
}
