//! The Lambda binary of `fhir-patient-everything`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_patient_everything::FUNCTION)
}
