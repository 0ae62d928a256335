//! The Lambda binary of `export-run`.

fn main() -> std::process::ExitCode {
    runtime::lambda::scheduled(export_run::FUNCTION)
}
