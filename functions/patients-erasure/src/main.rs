//! The Lambda binary of `patients-erasure`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(patients_erasure::FUNCTION)
}
