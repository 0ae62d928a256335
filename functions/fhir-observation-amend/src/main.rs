//! The Lambda binary of `fhir-observation-amend`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_observation_amend::FUNCTION)
}
