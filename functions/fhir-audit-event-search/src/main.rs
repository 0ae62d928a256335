//! The Lambda binary of `fhir-audit-event-search`.

fn main() -> std::process::ExitCode {
    runtime::lambda::main(fhir_audit_event_search::FUNCTION)
}
