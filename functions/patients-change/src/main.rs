//! The Lambda binary of `patients-change`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(patients_change::FUNCTION)
}
