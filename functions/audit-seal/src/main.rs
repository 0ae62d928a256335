//! The Lambda binary of `audit-seal`.

fn main() -> std::process::ExitCode {
    runtime::lambda::scheduled(audit_seal::FUNCTION)
}
