//! The Lambda binary of `fhir-patient-search`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_patient_search::FUNCTION)
}
