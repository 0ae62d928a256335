//! The Lambda binary of `backup-create`.

fn main() -> std::process::ExitCode {
    runtime::lambda::scheduled(backup_create::FUNCTION)
}
