//! The Lambda binary of `fhir-export-file`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_export_file::FUNCTION)
}
