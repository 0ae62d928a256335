//! The Lambda binary of `patients-apps`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(patients_apps::FUNCTION)
}
