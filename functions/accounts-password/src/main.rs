//! The Lambda binary of `accounts-password`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_password::FUNCTION)
}
