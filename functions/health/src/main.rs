//! The Lambda binary of `health`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(health::FUNCTION)
}
