//! The Lambda binary of `invitation-create`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(invitation_create::FUNCTION)
}
