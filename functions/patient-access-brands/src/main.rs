//! The Lambda binary of `patient-access-brands`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(patient_access_brands::FUNCTION)
}
