//! `GET` and `POST /api/v1/organizations/{id}/legal-holds`, `DELETE /api/v1/organizations/{id}/legal-holds/{hold}`: what must not be
//! deleted because of a dispute, an audit or an order. A hold stops every deletion by a policy of what it covers, from the moment on at
//! which it is placed, also one that is announced or under way.

use api::{Completeness, Content, Kind, Operation, PAGE, Shape, optional, required};
use audit::{Action, Context, RefusedBy, Target};
use authz::{Actor, OrganizationId, PatientId, Permission, StudyId};
use http::{Method, StatusCode};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, json, no_content,
    rest::{Fields, List},
};
use store::{Held, RetentionList};

/// The function.
pub const FUNCTION: Function =
    Function::new("legal-holds", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const KINDS: [&str; 3] = ["patient", "study", "organization"];

const HOLD: Shape = Shape {
    name: "LegalHold",
    fields: &[
        required("id", Kind::Integer),
        required("kind", Kind::OneOf(&KINDS)),
        required("patientId", Kind::OrNull(&Kind::Integer)).about("All observations of this patient are held."),
        required("studyId", Kind::OrNull(&Kind::Integer)).about("Or of everybody who is or was in this study."),
        required("reason", Kind::AnyText),
        required("placedBy", Kind::Integer),
        required("placedAt", Kind::Instant),
        required("releasedBy", Kind::OrNull(&Kind::Integer)),
        required("releasedAt", Kind::OrNull(&Kind::Instant)),
        required("erasuresWaiting", Kind::Integer)
            .about("How many patients are erased once this hold is released, unless another one covers them."),
    ],
};

const NEW: Shape = Shape {
    name: "NewLegalHold",
    fields: &[
        optional("patientId", Kind::Integer).about("A patient of the organization."),
        optional("studyId", Kind::Integer)
            .about("Or a study of it. With neither, everybody who is or was with the organization is held."),
        required("reason", Kind::Text(500)).about("Why, without anybody's health data."),
    ],
};

const MANAGERS: &str = "Managers of the organization; super admins.";

const OPERATIONS: [Operation; 3] = [
    Operation::new("GET /api/v1/organizations/{id}/legal-holds", "Legal holds, the newest first", MANAGERS)
        .with(&[&PAGE])
        .answers(&[(200, Content::Page(&HOLD))]),
    Operation::new("POST /api/v1/organizations/{id}/legal-holds", "Hold what must not be deleted", MANAGERS)
        .conditional()
        .takes(&NEW)
        .answers(&[(201, Content::Object(&HOLD))]),
    Operation::new(
        "DELETE /api/v1/organizations/{id}/legal-holds/{hold}",
        "Release a hold. It stays in the list. Who waits for it to be erased is erased",
        MANAGERS,
    )
    .conditional()
    .answers(&[(204, Content::Nothing)]),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let action = match *request.method() {
        Method::GET => Action::Search,
        Method::POST => Action::Create,
        _ => Action::Update,
    };
    let context = request.audit(Some(&actor), action, "LegalHold");
    let id: OrganizationId = request.id_variable("id")?;
    let role = app.store().await?.role_in_organization(actor.practitioner(), id).await?;
    request.permit(app, &context, &Target::organization(id), &actor, Permission::ManageOrganization, role).await?;
    match action {
        Action::Search => list(app, request, &actor, &context, id).await,
        Action::Create => place(app, request, &actor, &context, id).await,
        _ => release(app, request, &actor, &context, id).await,
    }
}

async fn list(
    app: &App,
    request: &Request,
    actor: &Actor,
    context: &Context,
    id: OrganizationId,
) -> Result<Response, Failure> {
    let list = List::parse(app, request, actor.user).await?;
    let page = app.store().await?.retention_list(context, RetentionList::Holds(id), list.slice()).await?;
    list.page(app, actor.user, page.total, &page.rows, page.next).await
}

async fn place(
    app: &App,
    request: &Request,
    actor: &Actor,
    context: &Context,
    id: OrganizationId,
) -> Result<Response, Failure> {
    let fields = Fields::parse(request)?;
    fields.check(&NEW, Completeness::Whole)?;
    request.has_no_version()?;
    let (covered, name) = match (fields.value("patientId").is_some(), fields.value("studyId").is_some()) {
        (true, true) => return Err(Failure::field("studyId", "Name a patient or a study.")),
        (true, false) => (Held::Patient(PatientId(fields.id("patientId")?)), "patientId"),
        (false, true) => (Held::Study(StudyId(fields.id("studyId")?)), "studyId"),
        (false, false) => (Held::Organization, "reason"),
    };
    let reason = fields.text("reason", 500)?;
    let store = app.store().await?;
    match store.place_hold(context, id, covered, &reason, actor.user).await? {
        Some(hold) => Ok(json(StatusCode::CREATED, &hold)?),
        None if covered == Held::Organization => missing(app, context, id).await,
        None => Err(Failure::field(name, "The organization has none with this id.")),
    }
}

async fn release(
    app: &App,
    request: &Request,
    actor: &Actor,
    context: &Context,
    id: OrganizationId,
) -> Result<Response, Failure> {
    request.has_no_version()?;
    let hold: i32 = request.id_variable("hold")?;
    if app.store().await?.release_hold(context, id, hold, actor.user).await? {
        return Ok(no_content());
    }
    missing(app, context, id).await
}

async fn missing(app: &App, context: &Context, id: OrganizationId) -> Result<Response, Failure> {
    app.store().await?.record_refusal(context, &Target::organization(id), RefusedBy::NotFound).await?;
    Err(Failure::NotFound)
}
