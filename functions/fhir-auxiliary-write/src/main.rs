//! The Lambda binary of `fhir-auxiliary-write`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_auxiliary_write::FUNCTION)
}
