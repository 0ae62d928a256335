//! The Lambda binary of `fhir-observation-history`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_observation_history::FUNCTION)
}
