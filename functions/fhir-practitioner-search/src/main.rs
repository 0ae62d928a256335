//! The Lambda binary of `fhir-practitioner-search`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_practitioner_search::FUNCTION)
}
