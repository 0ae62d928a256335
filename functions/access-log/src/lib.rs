//! `GET /api/v1/patients/me/access-log`: who has viewed or changed the data of the patient who asks, newest first.

use api::{Content, Operation, PAGE};
use audit::{Action, Target};
use audit_log::{Asked, FORMAT, MEDIA, OWN_ENTRY, OwnEntry};
use authz::Role;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response};
use store::{AuditFilter, AuditScope};

/// The function.
pub const FUNCTION: Function =
    Function::new("access-log", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/patients/me/access-log",
    "Who has viewed or changed the data of the patient who asks, newest first",
    "Patients.",
)
.with(&[&PAGE, &FORMAT])
.answers(&[(200, Content::PageOr(&OWN_ENTRY, &MEDIA))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let context = request.audit(Some(&actor), Action::Search, "AuditEvent");
    let patient = match actor.patient() {
        Ok(patient) => patient,
        Err(refusal) => return Err(request.refuse(app, &context, &Target::nothing(), refusal).await),
    };
    let asked = Asked::parse(app, request, actor.user, &[]).await?;
    let (scope, filter) = (AuditScope::Own(patient), AuditFilter::default());
    // A patient has no role, and needs none for what is their own.
    let page = app.store().await?.audit_log(&context, scope, Role::Viewer, &filter, asked.slice()?).await?;
    let page = page.map_err(|_| Failure::NotFound)?;
    asked.respond(app, &page, &OWN_ENTRY, |event| OwnEntry::of(event, actor.user)).await
}
