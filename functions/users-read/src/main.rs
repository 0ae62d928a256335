//! The Lambda binary of `users-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(users_read::FUNCTION)
}
