//! The Lambda binary of `accounts-factor-manage`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(accounts_factor_manage::FUNCTION)
}
