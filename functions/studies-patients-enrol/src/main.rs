//! The Lambda binary of `studies-patients-enrol`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(studies_patients_enrol::FUNCTION)
}
