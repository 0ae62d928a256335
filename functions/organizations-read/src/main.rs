//! The Lambda binary of `organizations-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(organizations_read::FUNCTION)
}
