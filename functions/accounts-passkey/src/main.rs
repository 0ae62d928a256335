//! The Lambda binary of `accounts-passkey`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_passkey::FUNCTION)
}
