//! The Lambda binary of `accounts-sessions`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_sessions::FUNCTION)
}
