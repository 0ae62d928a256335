//! The Lambda binary of `fhir-organization-search`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_organization_search::FUNCTION)
}
