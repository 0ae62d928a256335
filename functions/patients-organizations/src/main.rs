//! The Lambda binary of `patients-organizations`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(patients_organizations::FUNCTION)
}
