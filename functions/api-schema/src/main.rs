//! The Lambda binary of `landing-page`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(api_schema::FUNCTION)
}
