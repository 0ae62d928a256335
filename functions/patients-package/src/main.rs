//! The Lambda binary of `patients-package`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(patients_package::FUNCTION)
}
