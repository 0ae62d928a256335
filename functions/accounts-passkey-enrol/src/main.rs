//! The Lambda binary of `accounts-passkey-enrol`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_passkey_enrol::FUNCTION)
}
