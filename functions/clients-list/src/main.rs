//! The Lambda binary of `clients-list`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(clients_list::FUNCTION)
}
