//! The Lambda binary of `fhir-patient-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_patient_read::FUNCTION)
}
