//! The Lambda binary of `accounts-login`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_login::FUNCTION)
}
