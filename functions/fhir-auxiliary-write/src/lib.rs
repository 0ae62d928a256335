//! `POST /FHIR/R5/{type}`, and `PUT`, `PATCH` and `DELETE /FHIR/R5/{type}/{id}`: store, change and delete resources of types that
//! are kept as they come (<https://hl7.org/fhir/R5/http.html#create>, `#update`, `#patch`, `#delete`).

use api::{
    Content, Operation,
    fhir::{Body, Fhir},
};
use audit::Action;
use authz::Actor;
use fhir::{
    Rejection,
    auxiliary::{Submission, TYPES, is_r5, patched},
};
use http::{HeaderValue, Method, StatusCode, header};
use runtime::{
    App, Failure, Function, Interaction, Needs, Protocol, Request, Response,
    auxiliary::{SOURCE_HEADER, another_patient, refused, resource_response, shown},
    no_content,
    upload::fhir_base,
};
use serde_json::Value;
use store::{AuxiliaryChange, AuxiliaryResource, AuxiliaryUpload, ChangedContent, NewAuxiliary};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-auxiliary-write", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    })
    .describing(&OPERATIONS);

const OPERATIONS: [Operation; 4] = [
    Operation::new(
        "POST /FHIR/R5/{type}",
        "Store a resource. 200: its source sent it before, under the same id, and this is a new version.",
        WHO,
    )
    .fhir(Fhir { locates: true, ..taking(Some(Body::Resource)) })
    .versioned()
    .answers(&[(200, Content::Resource("Resource")), (201, Content::Resource("Resource"))]),
    Operation::new("PUT /FHIR/R5/{type}/{id}", "Store a new version. The body has the id of the URL.", WHO)
        .fhir(taking(Some(Body::Resource)))
        .versioned()
        .conditional()
        .answers(&[(200, Content::Resource("Resource"))]),
    Operation::new("PATCH /FHIR/R5/{type}/{id}", "Change members; null takes one away (RFC 7396)", WHO)
        .fhir(taking(Some(Body::Patch)))
        .versioned()
        .conditional()
        .answers(&[(200, Content::Resource("Resource"))]),
    Operation::new("DELETE /FHIR/R5/{type}/{id}", "Delete a resource. Its versions are kept.", WHO)
        .fhir(taking(None))
        .conditional()
        .answers(&[(204, Content::Nothing)]),
];

const WHO: &str = "The patient; members and managers of an organization of the patient's, as far as they can read it.";

const fn taking(body: Option<Body>) -> Fhir {
    Fhir { types: &[&TYPES], body, locates: false }
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let kind = request.resource_type(app).await?;
    let interaction = match *request.method() {
        Method::POST => Interaction::Create,
        Method::DELETE => Interaction::Delete,
        _ => Interaction::Update,
    };
    let actor = request.fhir_actor(app, kind, interaction).await?;
    match interaction {
        Interaction::Create => create(app, request, &actor, kind).await,
        Interaction::Delete => delete(app, request, &actor, kind).await,
        _ => change(app, request, &actor, kind).await,
    }
}

async fn create(app: &App, request: &Request, actor: &Actor, kind: &'static str) -> Result<Response, Failure> {
    if request.header("if-none-exist").is_some() {
        // Ignoring the condition would store what the caller did not want.
        return Err(Failure::Invalid(
            "If-None-Exist is not supported: what a source sends again under the same id is a new version.".to_owned(),
        ));
    }
    let resource = request.json()?;
    let submission = Submission::parse_any_release(kind, &resource, &fhir_base(app))?;
    // Whose it is comes before what it says.
    let source = request.fhir_source(submission.source)?;
    is_r5(kind, &resource)?;
    let new = NewAuxiliary {
        kind,
        source,
        upstream_id: submission.upstream_id.as_deref(),
        named_patient: submission.patient,
        content: &submission.content,
        may_update: request.reaches(app, kind, Interaction::Update).await?,
    };
    let context = request.audit(Some(actor), Action::Create, kind);
    match app.store().await?.store_auxiliary(&context, actor, app.settings.when_revoked, &new).await? {
        AuxiliaryUpload::Stored(resource) => created(app, kind, &resource),
        AuxiliaryUpload::AnotherPatient => Err(another_patient(kind)),
        AuxiliaryUpload::Refused(layer) => Err(refused(kind, layer)),
    }
}

/// 201 with its place for what is new, 200 for a new version of what was there.
fn created(app: &App, kind: &str, resource: &AuxiliaryResource) -> Result<Response, Failure> {
    if resource.version > 1 {
        return resource_response(StatusCode::OK, kind, resource);
    }
    let mut response = resource_response(StatusCode::CREATED, kind, resource)?;
    if let Ok(location) = HeaderValue::from_str(&format!("{}/{kind}/{}", fhir_base(app), resource.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The versions that the caller wants to change (`If-Match: W/"1"`, <https://hl7.org/fhir/R5/http.html#concurrency>). A tag that
/// is none of ours matches nothing.
fn expected(request: &Request) -> Option<Vec<i32>> {
    let tags = request.header(header::IF_MATCH).filter(|tags| tags.trim() != "*")?;
    let version = |tag: &str| {
        let tag = tag.trim();
        tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?.parse().ok()
    };
    Some(tags.split(',').filter_map(version).collect())
}

async fn change(app: &App, request: &Request, actor: &Actor, kind: &'static str) -> Result<Response, Failure> {
    let id = request.uuid_variable()?;
    let body = request.json()?;
    let base = fhir_base(app);
    if *request.method() == Method::PUT {
        Submission::parse(kind, &body, &base)?;
        has_id(&body, id)?;
    } else if !body.is_object() {
        return Err(Failure::Invalid("The patch must be a JSON object of what changes.".to_owned()));
    }
    let becomes = |current: &AuxiliaryResource| -> Result<ChangedContent, Failure> {
        let value: Value =
            if *request.method() == Method::PUT { body.clone() } else { patched(shown(kind, current)?, &body) };
        let submission = Submission::parse(kind, &value, &base)?;
        has_id(&value, id)?;
        let header = request.header(SOURCE_HEADER).is_some();
        let named = if header { Some(request.fhir_source(submission.source)?) } else { submission.source };
        if named.is_some_and(|named| named != current.source) {
            return Err(Failure::Rejected(Rejection::value("meta.source", "cannot become another FHIR Source")));
        }
        Ok(ChangedContent { named_patient: submission.patient, content: submission.content })
    };
    let context = request.audit(Some(actor), Action::Update, kind);
    let when_revoked = app.settings.when_revoked;
    let expected = expected(request);
    let store = app.store().await?;
    let outcome =
        store.change_auxiliary(&context, actor, when_revoked, (kind, id), expected.as_deref(), &becomes).await??;
    resource_response(StatusCode::OK, kind, &done(kind, outcome)?)
}

/// An update is of the resource that it names (<https://hl7.org/fhir/R5/http.html#update>), and a patch does not give it another id.
fn has_id(resource: &Value, id: &str) -> Result<(), Failure> {
    let named = resource.get("id").and_then(Value::as_str);
    // A UUID is the same in capitals.
    if named.is_some_and(|named| named.eq_ignore_ascii_case(id)) {
        return Ok(());
    }
    Err(Failure::Rejected(Rejection::value("id", "must be that of the URL")))
}

async fn delete(app: &App, request: &Request, actor: &Actor, kind: &'static str) -> Result<Response, Failure> {
    let id = request.uuid_variable()?;
    let context = request.audit(Some(actor), Action::Delete, kind);
    let expected = expected(request);
    done(kind, app.store().await?.delete_auxiliary(&context, actor, (kind, id), expected.as_deref()).await?)?;
    Ok(no_content())
}

fn done(kind: &str, outcome: AuxiliaryChange) -> Result<AuxiliaryResource, Failure> {
    match outcome {
        AuxiliaryChange::Done(resource) => Ok(resource),
        AuxiliaryChange::Stale => Err(Failure::Changed),
        AuxiliaryChange::AnotherPatient => Err(another_patient(kind)),
        AuxiliaryChange::Refused(refusal) => Err(Failure::Refused(refusal)),
        AuxiliaryChange::Missing => Err(Failure::NotFound),
    }
}
