//! The Lambda binary of `patients-create`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(patients_create::FUNCTION)
}
