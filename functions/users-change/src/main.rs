//! The Lambda binary of `users-change`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(users_change::FUNCTION)
}
