//! The Lambda binary of `fhir-device-search`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_device_search::FUNCTION)
}
