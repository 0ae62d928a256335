//! The Lambda binary of `fhir-organization-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_organization_read::FUNCTION)
}
