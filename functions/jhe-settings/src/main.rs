//! The Lambda binary of `jhe-settings`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(jhe_settings::FUNCTION)
}
