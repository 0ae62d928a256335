//! The Lambda binary of `patients-import`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(patients_import::FUNCTION)
}
