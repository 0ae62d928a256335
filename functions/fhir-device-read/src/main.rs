//! The Lambda binary of `fhir-device-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_device_read::FUNCTION)
}
