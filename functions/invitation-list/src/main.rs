//! The Lambda binary of `invitation-list`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(invitation_list::FUNCTION)
}
