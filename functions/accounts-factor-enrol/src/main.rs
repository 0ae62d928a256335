//! The Lambda binary of `accounts-factor-enrol`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_factor_enrol::FUNCTION)
}
