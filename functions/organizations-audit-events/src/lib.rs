//! `GET /api/v1/organizations/{id}/audit-events`: what was done and refused in an organization, newest first.

use api::{Content, Operation, PAGE};
use audit::{Action, Target};
use audit_log::{Asked, ENTRY, Entry, FILTERS, FORMAT, MEDIA, filter};
use authz::{OrganizationId, Permission, Principal};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response};
use store::{AuditScope, NotShown};

/// The function.
pub const FUNCTION: Function =
    Function::new("organizations-audit-events", Protocol::Rest, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    })
    .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/organizations/{id}/audit-events",
    "What was done and refused in an organization, newest first. Of an event that is of other organizations too, nothing of theirs is shown.",
    "Managers of the organization; super admins.",
)
.with(&[&PAGE, &FILTERS, &FORMAT])
.answers(&[(200, Content::PageOr(&ENTRY, &MEDIA))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id: OrganizationId = request.id_variable("id")?;
    let context = request.audit(Some(&actor), Action::Search, "AuditEvent");
    let target = Target::organization(id);
    let practitioner = match actor.principal {
        Principal::Practitioner(practitioner) => Some(practitioner),
        Principal::Patient(_) | Principal::SuperAdmin => {
            request.permit(app, &context, &target, &actor, Permission::ReadAudit, None).await?;
            None
        }
    };
    let asked = Asked::parse(app, request, actor.user, &[&FILTERS]).await?;
    let (scope, least) = (AuditScope::Organization { id, practitioner }, Permission::ReadAudit.minimum_role());
    let page = app.store().await?.audit_log(&context, scope, least, &filter(&asked.list)?, asked.slice()?).await?;
    match page {
        Ok(page) => asked.respond(app, &page, &ENTRY, Entry::from).await,
        Err(NotShown(role)) => {
            request.permit(app, &context, &target, &actor, Permission::ReadAudit, role).await?;
            // Only a super admin gets here, with an organization that does not exist.
            Err(Failure::NotFound)
        }
    }
}
