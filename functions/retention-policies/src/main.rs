//! The Lambda binary of `retention-policies`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(retention_policies::FUNCTION)
}
