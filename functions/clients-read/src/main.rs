//! The Lambda binary of `clients-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(clients_read::FUNCTION)
}
