//! The Lambda binary of `backup-verify`.

fn main() -> std::process::ExitCode {
    runtime::lambda::scheduled(backup_verify::FUNCTION)
}
