//! The Lambda binary of `accounts-factor`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_factor::FUNCTION)
}
