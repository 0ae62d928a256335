//! The Lambda binary of `audit-verify`.

fn main() -> std::process::ExitCode {
    runtime::lambda::scheduled(audit_verify::FUNCTION)
}
