//! The Lambda binary of `consents-history`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(consents_history::FUNCTION)
}
