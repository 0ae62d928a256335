//! The Lambda binary of `fhir-auxiliary-search`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_auxiliary_search::FUNCTION)
}
