//! The Lambda binary of `consents-decide`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(consents_decide::FUNCTION)
}
