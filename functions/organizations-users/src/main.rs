//! The Lambda binary of `organizations-users`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(organizations_users::FUNCTION)
}
