//! The Lambda binary of `studies-manage`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(studies_manage::FUNCTION)
}
