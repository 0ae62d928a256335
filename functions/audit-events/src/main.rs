//! The Lambda binary of `audit-events`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(audit_events::FUNCTION)
}
