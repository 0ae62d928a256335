//! The Lambda binary of `fhir-export-status`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_export_status::FUNCTION)
}
