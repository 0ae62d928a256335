//! The Lambda binary of `data-sources-manage`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(data_sources_manage::FUNCTION)
}
