//! The Lambda binary of `practitioner-clients-manage`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(practitioner_clients_manage::FUNCTION)
}
