//! The Lambda binary of `audit-partitions`.

fn main() -> std::process::ExitCode {
    runtime::lambda::scheduled(audit_partitions::FUNCTION)
}
