//! The Lambda binary of `data-sources-list`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(data_sources_list::FUNCTION)
}
