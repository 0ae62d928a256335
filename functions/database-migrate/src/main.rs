//! The Lambda binary of `database-migrate`.

fn main() -> std::process::ExitCode {
    runtime::lambda::hook(database_migrate::FUNCTION)
}
