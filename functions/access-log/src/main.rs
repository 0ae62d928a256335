//! The Lambda binary of `access-log`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(access_log::FUNCTION)
}
