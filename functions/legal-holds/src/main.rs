//! The Lambda binary of `legal-holds`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(legal_holds::FUNCTION)
}
