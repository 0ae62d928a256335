//! The Lambda binary of `fhir-observation-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_observation_read::FUNCTION)
}
