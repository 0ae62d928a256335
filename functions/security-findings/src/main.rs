//! The Lambda binary of `security-findings`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(security_findings::FUNCTION)
}
