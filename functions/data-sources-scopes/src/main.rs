//! The Lambda binary of `data-sources-scopes`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(data_sources_scopes::FUNCTION)
}
