//! The Lambda binary of `secrets-rotate`.

fn main() -> std::process::ExitCode {
    runtime::lambda::hook(secrets_rotate::FUNCTION)
}
