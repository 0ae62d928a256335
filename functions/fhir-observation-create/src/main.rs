//! The Lambda binary of `fhir-observation-create`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_observation_create::FUNCTION)
}
