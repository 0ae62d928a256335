//! `GET /FHIR/R5/AuditEvent/{id}`: read one event of the audit (<https://hl7.org/fhir/R5/http.html#read>).

use audit::Action;
use audit_log::{resource, scope};
use authz::Permission;
use http::StatusCode;
use runtime::{App, Failure, Function, Interaction, Needs, Protocol, Request, Response, read_response};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-audit-event-read", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "AuditEvent", Interaction::Read).await?;
    let id = request.id_variable("id")?;
    let context = request.audit(Some(&actor), Action::Read, "AuditEvent");
    let least = Permission::ReadAudit.minimum_role();
    // An event that may not be seen does not exist.
    let found = app.store().await?.audit_event(&context, scope(&actor), least, id).await?;
    let event = found.ok_or(Failure::NotFound)?;
    Ok(read_response(StatusCode::OK, resource(&event, &app.settings.site_url), event.occurred_at))
}
