//! The Lambda binary of `users-profile`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(users_profile::FUNCTION)
}
