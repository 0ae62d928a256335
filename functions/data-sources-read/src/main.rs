//! The Lambda binary of `data-sources-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(data_sources_read::FUNCTION)
}
