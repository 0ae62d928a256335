//! The Lambda binary of `fhir-import`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_import::FUNCTION)
}
