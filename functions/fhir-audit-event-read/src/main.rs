//! The Lambda binary of `fhir-audit-event-read`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_audit_event_read::FUNCTION)
}
