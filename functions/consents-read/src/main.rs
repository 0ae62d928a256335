//! The Lambda binary of `consents-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(consents_read::FUNCTION)
}
