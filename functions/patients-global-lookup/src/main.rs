//! The Lambda binary of `patients-global-lookup`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(patients_global_lookup::FUNCTION)
}
