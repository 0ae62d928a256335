//! The Lambda binary of `studies-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(studies_read::FUNCTION)
}
