//! The Lambda binary of `studies-patients-list`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(studies_patients_list::FUNCTION)
}
