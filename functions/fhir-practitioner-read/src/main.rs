//! The Lambda binary of `fhir-practitioner-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_practitioner_read::FUNCTION)
}
