//! `POST /api/v1/organizations`: a manager of an organization makes one that is part of it, and becomes its manager; a super
//! admin makes any. `PATCH` and `DELETE /api/v1/organizations/{id}`: its managers and super admins change it, and delete it
//! when nothing belongs to it any more.

use api::{Completeness, Content, Operation, shapes};
use audit::{Action, Context, RefusedBy, Target};
use authz::{Actor, OrganizationId, Permission};
use http::{Method, StatusCode};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, directory, json, no_content, rest::Fields, versioned,
};
use store::{Changed, Deletion, Misplaced, NewOrganization, OrganizationChange, Reader};

/// The function.
pub const FUNCTION: Function =
    Function::new("organizations-change", Protocol::Rest, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    })
    .describing(&OPERATIONS);

const OPERATIONS: [Operation; 3] = [
    Operation::new(
        "POST /api/v1/organizations",
        "Make an organization",
        "Managers of the organization that it is part of, who become its managers; super admins.",
    )
    .versioned()
    .also_fails(&[404])
    .takes(&shapes::NEW_ORGANIZATION)
    .answers(&[(201, Content::Object(&shapes::ORGANIZATION))]),
    Operation::new(
        "PATCH /api/v1/organizations/{id}",
        "Change an organization, or move it",
        "Its managers, and super admins. To move it, managers of the organization that it is to be part of too.",
    )
    .versioned()
    .conditional()
    .also_fails(&[409])
    .changes(&shapes::ORGANIZATION_CHANGE)
    .answers(&[(200, Content::Object(&shapes::ORGANIZATION))]),
    Operation::new(
        "DELETE /api/v1/organizations/{id}",
        "Delete an organization that has no organizations, studies or patients, and the roles in it",
        "Its managers, and super admins.",
    )
    .conditional()
    .also_fails(&[409])
    .answers(&[(204, Content::Nothing)]),
];

/// The organization above all.
const ROOT: OrganizationId = OrganizationId(0);

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    match *request.method() {
        Method::POST => create(app, request, &actor).await,
        Method::PATCH => change(app, request, &actor).await,
        _ => delete(app, request, &actor).await,
    }
}

/// Lets pass who manages an organization.
async fn permit(
    app: &App,
    request: &Request,
    actor: &Actor,
    context: &Context,
    organization: OrganizationId,
) -> Result<(), Failure> {
    let role = app.store().await?.role_in_organization(actor.practitioner(), organization).await?;
    let target = Target::organization(organization);
    request.permit(app, context, &target, actor, Permission::ManageOrganization, role).await?;
    Ok(())
}

/// The organization that the body names as the one above.
fn part_of(fields: &Fields) -> Result<Option<OrganizationId>, Failure> {
    fields.value("partOf").is_some().then(|| fields.id("partOf").map(OrganizationId)).transpose()
}

fn misplaced(why: Misplaced) -> Failure {
    Failure::field(
        "partOf",
        match why {
            Misplaced::Nowhere => "There is no such organization.",
            Misplaced::TooDeep => "There would be too many organizations above one another.",
            Misplaced::Inside => "An organization cannot be part of itself.",
        },
    )
}

async fn create(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Create, "Organization");
    let fields = Fields::parse(request)?;
    let parent = part_of(&fields)?.unwrap_or(ROOT);
    if parent == ROOT {
        request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    } else {
        permit(app, request, actor, &context, parent).await?;
    }
    fields.check(&shapes::NEW_ORGANIZATION, Completeness::Whole)?;
    let (name, kind) = (fields.text("name", 150)?, fields.text("type", 50)?);
    let new = NewOrganization { name: &name, kind: &kind, part_of: parent, manager: actor.practitioner() };
    let id = app.store().await?.create_organization(&context, &new).await?.map_err(misplaced)?;
    let organization = directory::organization(app, request, actor, id).await?;
    Ok(versioned(json(StatusCode::CREATED, &organization)?, organization.last_updated))
}

async fn change(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Update, "Organization");
    let id: OrganizationId = request.id_variable("id")?;
    permit(app, request, actor, &context, id).await?;
    let fields = Fields::parse(request)?;
    // Only the root has none above it.
    if id != ROOT && fields.has("partOf") && fields.value("partOf").is_none() {
        return Err(Failure::field("partOf", "This field may not be null."));
    }
    let parent = match part_of(&fields)? {
        Some(parent) => moved(app, request, actor, &context, id, parent).await?,
        None => None,
    };
    fields.check(&shapes::ORGANIZATION_CHANGE, Completeness::Part)?;
    let (name, kind) = (fields.optional_text("name", 150)?, fields.optional_text("type", 50)?);
    let requires_second_factor = fields.flag("requiresSecondFactor")?;
    if id == ROOT && (kind.is_some() || parent.is_some()) {
        return Err(Failure::Conflict("The root stays where it is, and what it is."));
    }
    let change =
        OrganizationChange { name: name.as_deref(), kind: kind.as_deref(), part_of: parent, requires_second_factor };
    let store = app.store().await?;
    match store.change_organization(&context, id, &request.expected(), change).await?.map_err(misplaced)? {
        Changed::Done(()) => {
            let organization = directory::organization(app, request, actor, id.0).await?;
            Ok(versioned(json(StatusCode::OK, &organization)?, organization.last_updated))
        }
        Changed::Stale => Err(Failure::Changed),
        Changed::Missing => missing(app, &context, id).await,
    }
}

/// Where the organization is to go, if it is elsewhere now. Who moves it must manage it there too.
async fn moved(
    app: &App,
    request: &Request,
    actor: &Actor,
    context: &Context,
    id: OrganizationId,
    parent: OrganizationId,
) -> Result<Option<OrganizationId>, Failure> {
    let known = app.store().await?.organizations(Reader::from(actor), &[id.0]).await?;
    if known.first().is_some_and(|organization| organization.part_of == Some(parent.0)) {
        return Ok(None);
    }
    if parent == ROOT {
        request.permit_super_admin(app, context, &Target::organization(id), actor).await?;
    } else {
        permit(app, request, actor, context, parent).await?;
    }
    Ok(Some(parent))
}

async fn delete(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Delete, "Organization");
    let id: OrganizationId = request.id_variable("id")?;
    permit(app, request, actor, &context, id).await?;
    let held_by = match app.store().await?.delete_organization(&context, id, &request.expected()).await? {
        Changed::Done(Deletion::Deleted) => return Ok(no_content()),
        Changed::Stale => return Err(Failure::Changed),
        Changed::Missing => return missing(app, &context, id).await,
        Changed::Done(Deletion::Root) => "The root stays.",
        Changed::Done(Deletion::HasOrganizations) => "Other organizations are part of it. Move or delete them first.",
        Changed::Done(Deletion::HasStudies) => "It has studies. Delete them first.",
        Changed::Done(Deletion::HasPatients) => "It has patients. Remove them first.",
        Changed::Done(Deletion::HasHolds) => "It has had a legal hold, and the record of that is kept. So it stays.",
    };
    Err(Failure::Conflict(held_by))
}

/// Only a super admin gets here with an organization that does not exist.
async fn missing(app: &App, context: &Context, id: OrganizationId) -> Result<Response, Failure> {
    let target = Target::organization(id);
    app.store().await?.record_refusal(context, &target, RefusedBy::NotFound).await?;
    Err(Failure::NotFound)
}
