//! `GET /api/v1/organizations/{id}/users`: who works in an organization.
//! `POST /api/v1/organizations/{id}/user`: its managers give a practitioner a role, or another role.
//! `DELETE /api/v1/organizations/{id}/remove_user`: they take it.

mod body;

use api::{Completeness, Content, Operation, shapes};
use audit::{Action, Context, RefusedBy, Target};
use authz::{Actor, OrganizationId, Permission, Role, UserId};
use http::{Method, StatusCode};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, no_content, rest::Fields};
use store::{Reader, RoleChange};

/// The function.
pub const FUNCTION: Function = Function::new("organizations-users", Protocol::Rest, Needs::Database, |app, request| {
    Box::pin(handle(app, request))
})
.describing(&OPERATIONS);

const OPERATIONS: [Operation; 3] = [
    Operation::new(
        "GET /api/v1/organizations/{id}/users",
        "Who works in an organization, and in which role",
        "Who has a role in it; super admins. Recorded.",
    )
    .answers(&[(200, Content::List(&shapes::MEMBER))]),
    Operation::new(
        "POST /api/v1/organizations/{id}/user",
        "Give a practitioner a role, or another one. The last manager keeps theirs.",
        "Managers of the organization; super admins.",
    )
    .conditional()
    .takes(&body::GIVEN)
    .answers(&[(200, Content::Object(&body::MEMBERSHIP)), (201, Content::Object(&body::MEMBERSHIP))]),
    Operation::new(
        "DELETE /api/v1/organizations/{id}/remove_user",
        "Take a practitioner's role. The last manager keeps theirs.",
        "Managers of the organization; super admins.",
    )
    .conditional()
    .also_fails(&[409])
    .takes(&body::TAKEN)
    .answers(&[(204, Content::Nothing)]),
];

/// The audit's name for a role: FHIR's.
const ROLE: &str = "PractitionerRole";

const LAST_MANAGER: Failure =
    Failure::Conflict("An organization needs a manager. Make somebody else its manager first.");

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id: OrganizationId = request.id_variable("id")?;
    match *request.method() {
        Method::GET => list(app, request, &actor, id).await,
        Method::POST => give(app, request, &actor, id).await,
        _ => take(app, request, &actor, id).await,
    }
}

async fn list(app: &App, request: &Request, actor: &Actor, id: OrganizationId) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Search, ROLE);
    let members = app.store().await?.members(&context, Reader::from(actor), id).await??;
    Ok(json(StatusCode::OK, &members)?)
}

/// Lets pass who manages the organization, if there is one.
async fn permit(
    app: &App,
    request: &Request,
    actor: &Actor,
    context: &Context,
    id: OrganizationId,
) -> Result<(), Failure> {
    let store = app.store().await?;
    let role = store.role_in_organization(actor.practitioner(), id).await?;
    let target = Target::organization(id);
    request.permit(app, context, &target, actor, Permission::ManageOrganization, role).await?;
    // Only a super admin gets here with an organization that does not exist.
    if role.is_none() && store.organizations(Reader::from(actor), &[id.0]).await?.is_empty() {
        store.record_refusal(context, &target, RefusedBy::NotFound).await?;
        return Err(Failure::NotFound);
    }
    Ok(())
}

async fn give(app: &App, request: &Request, actor: &Actor, id: OrganizationId) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Update, ROLE);
    permit(app, request, actor, &context, id).await?;
    let fields = Fields::parse(request)?;
    fields.check(&body::GIVEN, Completeness::Whole)?;
    // A role has no version: no route reads one by itself, and the last word counts.
    request.has_no_version()?;
    let user = UserId(fields.id("jheUserId")?);
    let role: Role = fields
        .text("organizationPartitionerRole", 10)?
        .parse()
        .map_err(|_| Failure::field("organizationPartitionerRole", "This is not a role."))?;
    match app.store().await?.give_role(&context, Reader::from(actor), id, user, role).await? {
        RoleChange::Done(given) => {
            let status = if given.is_new { StatusCode::CREATED } else { StatusCode::OK };
            Ok(json(status, &body::Given::new(id, user, role, &given))?)
        }
        // The same for a patient's account, for one that is not active, and for none.
        RoleChange::Nobody => Err(Failure::field("jheUserId", "There is no practitioner with this id.")),
        RoleChange::LastManager => Err(LAST_MANAGER),
    }
}

async fn take(app: &App, request: &Request, actor: &Actor, id: OrganizationId) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Delete, ROLE);
    permit(app, request, actor, &context, id).await?;
    let fields = Fields::parse(request)?;
    fields.check(&body::TAKEN, Completeness::Whole)?;
    request.has_no_version()?;
    match app.store().await?.take_role(&context, id, UserId(fields.id("jheUserId")?)).await? {
        RoleChange::Done(()) => Ok(no_content()),
        RoleChange::Nobody => Err(Failure::field("jheUserId", "There is nobody with this id in the organization.")),
        RoleChange::LastManager => Err(LAST_MANAGER),
    }
}
