//! The Lambda binary of `accounts-reset-confirm`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_reset_confirm::FUNCTION)
}
