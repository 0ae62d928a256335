//! The Lambda binary of `practitioner-clients-list`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(practitioner_clients_list::FUNCTION)
}
