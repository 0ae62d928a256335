//! The Lambda binary of `erasure`.

fn main() -> std::process::ExitCode {
    runtime::lambda::scheduled(erasure::FUNCTION)
}
