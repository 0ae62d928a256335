//! The Lambda binary of `fhir-group-search`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_group_search::FUNCTION)
}
