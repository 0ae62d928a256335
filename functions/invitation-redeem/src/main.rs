//! The Lambda binary of `invitation-redeem`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(invitation_redeem::FUNCTION)
}
