//! The Lambda binary of `accounts-sign-up`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_sign_up::FUNCTION)
}
