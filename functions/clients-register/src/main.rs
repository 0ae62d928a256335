//! The Lambda binary of `clients-register`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(clients_register::FUNCTION)
}
