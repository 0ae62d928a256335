//! The Lambda binary of `patients-list`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(patients_list::FUNCTION)
}
