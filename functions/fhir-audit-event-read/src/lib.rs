//! `GET /FHIR/R5/AuditEvent/{id}`: read one event of the audit (<https://hl7.org/fhir/R5/http.html#read>).

use audit::Action;
use audit_log::{resource, scope};
use authz::Permission;
use http::StatusCode;
use runtime::{App, Failure, Function, Interaction, Needs, Protocol, Request, Response, read_response};
use store::{AuditFilter, AuditSlice};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-audit-event-read", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "AuditEvent", Interaction::Read).await?;
    let filter = AuditFilter { ids: vec![request.id_variable("id")?], ..AuditFilter::default() };
    let context = request.audit(Some(&actor), Action::Read, "AuditEvent");
    let one = AuditSlice { count: 1, ..AuditSlice::default() };
    let least = Permission::ReadAudit.minimum_role();
    let page = app.store().await?.audit_log(&context, scope(&actor), least, &filter, one).await?;
    // An event that may not be seen does not exist.
    let event = page.ok().and_then(|page| page.rows.into_iter().next()).ok_or(Failure::NotFound)?;
    Ok(read_response(StatusCode::OK, resource(&event, &app.settings.site_url), event.occurred_at))
}
