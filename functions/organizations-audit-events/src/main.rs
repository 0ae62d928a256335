//! The Lambda binary of `organizations-audit-events`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(organizations_audit_events::FUNCTION)
}
