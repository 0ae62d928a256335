//! The Lambda binary of `contain`.

fn main() -> std::process::ExitCode {
    runtime::lambda::scheduled(contain::FUNCTION)
}
