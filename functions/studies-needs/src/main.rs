//! The Lambda binary of `studies-needs`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(studies_needs::FUNCTION)
}
