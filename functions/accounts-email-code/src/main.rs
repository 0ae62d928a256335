//! The Lambda binary of `accounts-email-code`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_email_code::FUNCTION)
}
