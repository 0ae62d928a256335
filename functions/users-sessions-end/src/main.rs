//! The Lambda binary of `users-sessions-end`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(users_sessions_end::FUNCTION)
}
