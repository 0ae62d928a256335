//! The Lambda binary of `landing-page`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(landing_page::FUNCTION)
}
