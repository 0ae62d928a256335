//! `GET`, `POST` and `DELETE /api/v1/studies/{id}/scope_requests`, `.../data_sources` and `.../clients`: what a study asks its
//! patients for, where it expects the data from, and the apps that its patients are invited to.
//!
//! A new request shows nothing: every patient decides about it first. One that is taken back hides at once; what was decided
//! stays in the ledger, and counts no more when the request is made again.

mod part;

use api::{Completeness, Content, Operation, shapes::study};
use audit::{Action, RefusedBy, Target};
use authz::{Actor, Layer, Permission, Principal, Refusal, StudyId, study::StudyStatus};
use http::{Method, StatusCode};
use part::Part;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, empty, json, no_content, rest::Fields};
use store::{Added, Reader, Study};

/// The function.
pub const FUNCTION: Function =
    Function::new("studies-needs", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const READERS: &str = "Every role in the study's organization; patients who are enrolled; super admins.";
const STAFF: &str = "Every role in the study's organization; super admins.";
const MANAGERS: &str = "Managers of the study's organization; super admins.";

const OPERATIONS: [Operation; 9] = [
    Operation::new("GET /api/v1/studies/{id}/scope_requests", "The scopes that a study asks for", READERS)
        .answers(&[(200, Content::List(&study::SCOPE_REQUEST))]),
    Operation::new(
        "POST /api/v1/studies/{id}/scope_requests",
        "Ask for a scope. Patients who are enrolled have to decide; nothing is shown by it",
        MANAGERS,
    )
    .conditional()
    .takes(&study::WHICH_SCOPE)
    .answers(&[(201, Content::Object(&study::SCOPE_REQUEST))]),
    Operation::new(
        "DELETE /api/v1/studies/{id}/scope_requests",
        "Ask for a scope no more. Its data are hidden at once; what was decided stays in the ledger",
        MANAGERS,
    )
    .conditional()
    .also_fails(&[409])
    .takes(&study::WHICH_SCOPE)
    .answers(&[(204, Content::Nothing)]),
    Operation::new("GET /api/v1/studies/{id}/data_sources", "The data sources that a study uses", READERS)
        .answers(&[(200, Content::List(&study::STUDY_DATA_SOURCE))]),
    Operation::new("POST /api/v1/studies/{id}/data_sources", "Use a data source", MANAGERS)
        .conditional()
        .takes(&study::WHICH_DATA_SOURCE)
        .answers(&[(201, Content::Nothing)]),
    Operation::new("DELETE /api/v1/studies/{id}/data_sources", "Use a data source no more", MANAGERS)
        .conditional()
        .also_fails(&[409])
        .takes(&study::WHICH_DATA_SOURCE)
        .answers(&[(204, Content::Nothing)]),
    Operation::new("GET /api/v1/studies/{id}/clients", "The apps that the patients of a study are invited to", STAFF)
        .answers(&[(200, Content::List(&study::STUDY_CLIENT))]),
    Operation::new("POST /api/v1/studies/{id}/clients", "Use an app", MANAGERS)
        .conditional()
        .takes(&study::WHICH_CLIENT)
        .answers(&[(201, Content::Nothing)]),
    Operation::new("DELETE /api/v1/studies/{id}/clients", "Use an app no more", MANAGERS)
        .conditional()
        .also_fails(&[409])
        .takes(&study::WHICH_CLIENT)
        .answers(&[(204, Content::Nothing)]),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id: StudyId = request.id_variable("id")?;
    let part = Part::of(request).ok_or(Failure::NotFound)?;
    match *request.method() {
        Method::GET => list(app, request, &actor, id, part).await,
        Method::POST => add(app, request, &actor, id, part).await,
        _ => remove(app, request, &actor, id, part).await,
    }
}

async fn list(app: &App, request: &Request, actor: &Actor, id: StudyId, part: Part) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Read, "Group");
    let store = app.store().await?;
    let Some((study, parts)) = store.study_needs(Reader::from(actor), id, part.need()).await? else {
        store.record_refusal(&context, &Target::study(id), RefusedBy::Layer(Layer::Organization)).await?;
        return Err(Failure::NotFound);
    };
    let patient = match actor.principal {
        Principal::Patient(_) if part == Part::Client => {
            return Err(request.refuse(app, &context, &Target::study(id), Refusal::known(Layer::UserType)).await);
        }
        Principal::Patient(patient) => Some(patient.0),
        Principal::Practitioner(_) | Principal::SuperAdmin => None,
    };
    let rows: Vec<_> = parts.iter().map(|one| part.row(&study, patient, one)).collect();
    Ok(json(StatusCode::OK, &rows)?)
}

async fn add(app: &App, request: &Request, actor: &Actor, id: StudyId, part: Part) -> Result<Response, Failure> {
    let (study, named) = named(app, request, actor, id, part).await?;
    let context = request.audit(Some(actor), Action::Update, "Group");
    let store = app.store().await?;
    if study.life.plan().has_ended(app.now()) {
        store.record_refusal(&context, &Target::study(id), RefusedBy::Invalid).await?;
        return Err(Failure::Conflict("The study has ended: it asks for nothing more."));
    }
    match store.add_study_need(&context, id, part.need(), named).await? {
        Added::Done(added) if part == Part::Scope => Ok(json(StatusCode::CREATED, &part.row(&study, None, &added))?),
        Added::Done(_) => Ok(empty(StatusCode::CREATED)),
        Added::NoOwner => Err(Failure::NotFound),
        Added::NoPart => Err(Failure::field(part.field(), "There is none with this id.")),
    }
}

async fn remove(app: &App, request: &Request, actor: &Actor, id: StudyId, part: Part) -> Result<Response, Failure> {
    let (study, named) = named(app, request, actor, id, part).await?;
    let context = request.audit(Some(actor), Action::Update, "Group");
    let store = app.store().await?;
    if study.life.status == StudyStatus::Archived {
        store.record_refusal(&context, &Target::study(id), RefusedBy::Invalid).await?;
        return Err(Failure::Conflict("The study is archived. It is kept as it is."));
    }
    if store.remove_study_need(&context, id, part.need(), named).await? {
        Ok(no_content())
    } else {
        Err(Failure::NotFound)
    }
}

/// The study, and what the body names, for who may change it.
async fn named(app: &App, request: &Request, actor: &Actor, id: StudyId, part: Part) -> Result<(Study, i32), Failure> {
    let context = request.audit(Some(actor), Action::Update, "Group");
    let store = app.store().await?;
    let role = store.role_over_study(actor.practitioner(), id).await?;
    let target = Target::study(id);
    request.permit(app, &context, &target, actor, Permission::ManageStudies, role).await?;
    let fields = Fields::parse(request)?;
    fields.check(part.body(), Completeness::Whole)?;
    request.has_no_version()?;
    let named = fields.id(part.field())?;
    if let Some(study) = store.studies(Reader::from(actor), &[id.0], None).await?.pop() {
        return Ok((study, named));
    }
    // Only a super admin gets here with a study that does not exist.
    store.record_refusal(&context, &target, RefusedBy::NotFound).await?;
    Err(Failure::NotFound)
}
