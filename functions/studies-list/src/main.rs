//! The Lambda binary of `studies-list`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(studies_list::FUNCTION)
}
