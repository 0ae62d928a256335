//! The Lambda binary of `retention-notices`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(retention_notices::FUNCTION)
}
