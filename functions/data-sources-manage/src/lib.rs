//! `POST /api/v1/data_sources`, `PATCH` and `DELETE /api/v1/data_sources/{id}`: super admins keep the catalogue of data sources.

use api::{
    Completeness, Content, Operation,
    shapes::data_source::{DATA_SOURCE, NEW_DATA_SOURCE},
};
use audit::{Action, Target};
use authz::Actor;
use http::{Method, StatusCode};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, no_content, rest::Fields, versioned};
use store::{Changed, DataSource};

/// The function.
pub const FUNCTION: Function = Function::new("data-sources-manage", Protocol::Rest, Needs::Database, |app, request| {
    Box::pin(handle(app, request))
})
.describing(&OPERATIONS);

const WHO: &str = "Super admins.";

const OPERATIONS: [Operation; 3] = [
    Operation::new("POST /api/v1/data_sources", "Add a data source", WHO)
        .versioned()
        .takes(&NEW_DATA_SOURCE)
        .answers(&[(201, Content::Object(&DATA_SOURCE))]),
    Operation::new("PATCH /api/v1/data_sources/{id}", "Change a data source", WHO)
        .versioned()
        .conditional()
        .changes(&NEW_DATA_SOURCE)
        .answers(&[(200, Content::Object(&DATA_SOURCE))]),
    Operation::new(
        "DELETE /api/v1/data_sources/{id}",
        "Take a data source out of the catalogue. Nothing is uploaded from it any more; what was stays as it is",
        WHO,
    )
    .conditional()
    .answers(&[(204, Content::Nothing)]),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    match *request.method() {
        Method::POST => create(app, request, &actor).await,
        Method::PATCH => change(app, request, &actor).await,
        _ => delete(app, request, &actor).await,
    }
}

async fn create(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Create, "Device");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    let fields = Fields::parse(request)?;
    fields.check(&NEW_DATA_SOURCE, Completeness::Whole)?;
    let (name, kind) = (fields.text("name", 255)?, fields.text("type", 20)?);
    answer(StatusCode::CREATED, &app.store().await?.create_data_source(&context, &name, &kind).await?)
}

async fn change(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let id = request.id_variable("id")?;
    let context = request.audit(Some(actor), Action::Update, "Device");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    let fields = Fields::parse(request)?;
    fields.check(&NEW_DATA_SOURCE, Completeness::Part)?;
    let (name, kind) = (fields.optional_text("name", 255)?, fields.optional_text("type", 20)?);
    let store = app.store().await?;
    let expected = request.expected();
    match store.change_data_source(&context, id, &expected, name.as_deref(), kind.as_deref()).await? {
        Changed::Done(_) => {
            let found = store.data_sources(&[id]).await?;
            answer(StatusCode::OK, found.first().ok_or(Failure::NotFound)?)
        }
        Changed::Stale => Err(Failure::Changed),
        Changed::Missing => Err(Failure::NotFound),
    }
}

async fn delete(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let id = request.id_variable("id")?;
    let context = request.audit(Some(actor), Action::Delete, "Device");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    match app.store().await?.delete_data_source(&context, id, &request.expected()).await? {
        Changed::Done(_) => Ok(no_content()),
        Changed::Stale => Err(Failure::Changed),
        Changed::Missing => Err(Failure::NotFound),
    }
}

fn answer(status: StatusCode, source: &DataSource) -> Result<Response, Failure> {
    Ok(versioned(json(status, source)?, source.last_updated))
}
