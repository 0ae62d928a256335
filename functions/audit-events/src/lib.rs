//! `GET /api/v1/audit-events`: the audit of the whole exchange, newest first; with `privileged=true`, what super admins did.

use api::{Content, Operation, PAGE};
use audit::{Action, Target};
use audit_log::{Asked, ENTRY, EVERYTHING, Entry, FILTERS, FORMAT, MEDIA, filter};
use authz::Role;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response};
use store::AuditScope;

/// The function.
pub const FUNCTION: Function =
    Function::new("audit-events", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/audit-events",
    "What was done and refused in the exchange, newest first",
    "Super admins.",
)
.with(&[&PAGE, &FILTERS, &EVERYTHING, &FORMAT])
.answers(&[(200, Content::PageOr(&ENTRY, &MEDIA))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let context = request.audit(Some(&actor), Action::Search, "AuditEvent");
    request.permit_super_admin(app, &context, &Target::nothing(), &actor).await?;
    let asked = Asked::parse(app, request, actor.user, &[&FILTERS, &EVERYTHING]).await?;
    let filter = filter(&asked.list)?;
    let store = app.store().await?;
    let page = store.audit_log(&context, AuditScope::Everything, Role::Manager, &filter, asked.slice()?).await?;
    asked.respond(app, &page.map_err(|_| Failure::NotFound)?, &ENTRY, Entry::from).await
}
