//! The Lambda binary of `organizations-list`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(organizations_list::FUNCTION)
}
