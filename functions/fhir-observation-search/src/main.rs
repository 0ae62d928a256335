//! The Lambda binary of `fhir-observation-search`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_observation_search::FUNCTION)
}
