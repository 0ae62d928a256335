//! The Lambda binary of `organizations-change`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(organizations_change::FUNCTION)
}
