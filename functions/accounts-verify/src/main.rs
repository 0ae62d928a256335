//! The Lambda binary of `accounts-verify`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_verify::FUNCTION)
}
