//! The Lambda binary of `rds-snapshots`.

fn main() -> std::process::ExitCode {
    runtime::lambda::scheduled(rds_snapshots::FUNCTION)
}
