//! The Lambda binary of `patients-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(patients_read::FUNCTION)
}
