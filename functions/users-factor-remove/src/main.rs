//! The Lambda binary of `users-factor-remove`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(users_factor_remove::FUNCTION)
}
