//! The Lambda binary of `security-monitor`.

fn main() -> std::process::ExitCode {
    runtime::lambda::scheduled(security_monitor::FUNCTION)
}
