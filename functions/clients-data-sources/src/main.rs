//! The Lambda binary of `clients-data-sources`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(clients_data_sources::FUNCTION)
}
