//! The Lambda binary of `invitation-cancel`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(invitation_cancel::FUNCTION)
}
