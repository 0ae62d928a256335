//! `/api/v1/fhir_sources`: where a patient's FHIR resources come from. Patients have their own; nobody else has any.

use api::{Completeness, Content, Kind, Operation, PAGE, Shape, required};
use audit::{Action, Context, Target};
use authz::{Actor, Layer, PatientId, Refusal};
use http::{Method, StatusCode};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, json, no_content,
    rest::{Fields, List},
    versioned,
};
use store::{Changed, FhirSource, FhirSourceChange, Page, SourceChanged};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-sources", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 5] = [
    Operation::new("GET /api/v1/fhir_sources", "The caller's FHIR Sources", "Everybody; only patients have any.")
        .with(&[&PAGE])
        .answers(&[(200, Content::Page(&SOURCE))]),
    Operation::new("GET /api/v1/fhir_sources/{id}", "One FHIR Source", "The patient whose it is.")
        .versioned()
        .answers(&[(200, Content::Object(&SOURCE))]),
    Operation::new("POST /api/v1/fhir_sources", "Register a FHIR Source", "Patients, for themselves.")
        .versioned()
        .takes(&NEW)
        .answers(&[(201, Content::Object(&SOURCE))]),
    Operation::new("PATCH /api/v1/fhir_sources/{id}", "Change a FHIR Source", "The patient whose it is.")
        .versioned()
        .conditional()
        .changes(&NEW)
        .answers(&[(200, Content::Object(&SOURCE))]),
    Operation::new(
        "DELETE /api/v1/fhir_sources/{id}",
        "Delete a FHIR Source from which no resources come",
        "The patient whose it is.",
    )
    .conditional()
    .also_fails(&[409])
    .answers(&[(204, Content::Nothing)]),
];

/// The longest name.
const LABEL: usize = 200;

/// The longest URL.
const URL: usize = 2_000;

const NEW: Shape = Shape {
    name: "NewFhirSource",
    fields: &[
        required("label", Kind::Text(LABEL)),
        required("dataSource", Kind::Integer).about("The data source by which the resources come."),
        required("fhirBaseUrl", Kind::Text(URL)).about("The FHIR base URL that they come from, https."),
    ],
};

const SOURCE: Shape = Shape {
    name: "FhirSource",
    fields: &[
        required("id", Kind::Integer).about("From 90001."),
        required("patient", Kind::Integer),
        required("dataSource", Kind::Integer),
        required("label", Kind::AnyText),
        required("fhirBaseUrl", Kind::AnyText),
        required("lastUpdated", Kind::Instant),
    ],
};

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    match (request.method(), request.variable("id").is_some()) {
        (&Method::GET, false) => list(app, request, &actor).await,
        (&Method::GET, true) => read(app, request, &actor).await,
        (&Method::POST, _) => create(app, request, &actor).await,
        (&Method::PATCH, _) => change(app, request, &actor).await,
        _ => delete(app, request, &actor).await,
    }
}

async fn list(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let list = List::parse(app, request, actor.user).await?;
    let page = match actor.patient() {
        Ok(patient) => app.store().await?.fhir_sources(patient, list.slice()).await?,
        Err(_) => Page::default(),
    };
    let next = page.rows.last().filter(|_| page.more).map(|source| i64::from(source.id));
    list.page(app, actor.user, page.total, &page.rows, next).await
}

async fn read(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let id = request.id_variable("id")?;
    let patient = actor.patient().map_err(|_| Failure::NotFound)?;
    let found = app.store().await?.own_fhir_source(patient, id).await?;
    answer(StatusCode::OK, &found.ok_or(Failure::NotFound)?)
}

fn answer(status: StatusCode, source: &FhirSource) -> Result<Response, Failure> {
    Ok(versioned(json(status, source)?, source.last_updated))
}

/// The patient who asks, or a refusal that is recorded.
async fn own(app: &App, request: &Request, context: &Context, actor: &Actor) -> Result<PatientId, Failure> {
    match actor.patient() {
        Ok(patient) => Ok(patient),
        Err(_) => match request.refuse(app, context, &Target::nothing(), Refusal::known(Layer::UserType)).await {
            Failure::Refused(_) => Err(Failure::Forbidden("Only patient users can register a FhirSource.")),
            failure => Err(failure),
        },
    }
}

async fn create(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Create, "FhirSource");
    let patient = own(app, request, &context, actor).await?;
    let fields = Fields::parse(request)?;
    fields.check(&NEW, Completeness::Whole)?;
    let (label, data_source) = (fields.text("label", LABEL)?, fields.id("dataSource")?);
    let base = base_url(&fields.text("fhirBaseUrl", URL)?)?;
    let created = app.store().await?.create_fhir_source(&context, patient, data_source, &label, &base).await?;
    answer(StatusCode::CREATED, &done(created)?)
}

async fn change(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Update, "FhirSource");
    let patient = own(app, request, &context, actor).await?;
    let id = request.id_variable("id")?;
    let fields = Fields::parse(request)?;
    fields.check(&NEW, Completeness::Part)?;
    let label = fields.optional_text("label", LABEL)?;
    let base = fields.optional_text("fhirBaseUrl", URL)?.map(|url| base_url(&url)).transpose()?;
    let data_source = fields.value("dataSource").map(|_| fields.id("dataSource")).transpose()?;
    let change = FhirSourceChange { data_source, label: label.as_deref(), fhir_base_url: base.as_deref() };
    let changed = app.store().await?.change_fhir_source(&context, patient, id, &request.expected(), change).await?;
    answer(StatusCode::OK, &done(current(changed)?)?)
}

async fn delete(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Delete, "FhirSource");
    let patient = own(app, request, &context, actor).await?;
    let id = request.id_variable("id")?;
    done(current(app.store().await?.delete_fhir_source(&context, patient, id, &request.expected()).await?)?)?;
    Ok(no_content())
}

fn current(changed: Changed<SourceChanged>) -> Result<SourceChanged, Failure> {
    match changed {
        Changed::Done(changed) => Ok(changed),
        Changed::Stale => Err(Failure::Changed),
        Changed::Missing => Err(Failure::NotFound),
    }
}

fn done(changed: SourceChanged) -> Result<FhirSource, Failure> {
    match changed {
        SourceChanged::Done(source) => Ok(source),
        SourceChanged::UnknownDataSource => Err(Failure::field("dataSource", "There is no such data source.")),
        SourceChanged::InUse => Err(Failure::Conflict("Resources come from it. Delete them first.")),
    }
}

/// An https URL without a user or a password (RFC 3986 section 3.2.1): it is kept and shown, and so would they be. Nothing is
/// fetched from it.
fn base_url(text: &str) -> Result<String, Failure> {
    let is_base = |uri: &http::Uri| {
        let names_nobody = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        uri.scheme_str() == Some("https") && names_nobody && uri.query().is_none()
    };
    text.parse()
        .ok()
        .filter(is_base)
        .map(|_| text.to_owned())
        .ok_or_else(|| Failure::field("fhirBaseUrl", "Enter a valid https URL, without a user."))
}
