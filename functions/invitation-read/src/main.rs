//! The Lambda binary of `invitation-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(invitation_read::FUNCTION)
}
