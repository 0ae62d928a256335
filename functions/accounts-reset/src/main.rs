//! The Lambda binary of `accounts-reset`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_reset::FUNCTION)
}
