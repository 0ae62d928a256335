//! The Lambda binary of `retention`.

fn main() -> std::process::ExitCode {
    runtime::lambda::scheduled(retention::FUNCTION)
}
