//! The Lambda binary of `data-sources-all-scopes`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(data_sources_all_scopes::FUNCTION)
}
