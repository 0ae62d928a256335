//! The Lambda binary of `accounts-passkey-script`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_passkey_script::FUNCTION)
}
