//! The Lambda binary of `patients-me`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(patients_me::FUNCTION)
}
