//! The Lambda binary of `accounts-logout`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_logout::FUNCTION)
}
