//! `GET`, `POST` and `DELETE /api/v1/clients/{id}/data_sources`: what the app of a client brings data from. Super admins say so.

use api::{
    Completeness, Content, Kind, Operation, Shape, required,
    shapes::{data_source::DATA_SOURCE, study::WHICH_DATA_SOURCE},
};
use audit::{Action, Target};
use authz::Actor;
use http::{Method, StatusCode};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, no_content, rest::Fields};
use serde::Serialize;
use store::{Added, SourceParts};

/// The function.
pub const FUNCTION: Function =
    Function::new("clients-data-sources", Protocol::Rest, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    })
    .describing(&OPERATIONS);

const CLIENT_DATA_SOURCE: Shape = Shape {
    name: "ClientDataSource",
    fields: &[
        required("id", Kind::Integer).about("The data source's."),
        required("client_id", Kind::AnyText).about("The client's row, as a text."),
        required("dataSourceId", Kind::Integer),
    ],
};

const OPERATIONS: [Operation; 3] = [
    Operation::new("GET /api/v1/clients/{id}/data_sources", "What the app of a client brings data from", "Every user.")
        .answers(&[(200, Content::List(&DATA_SOURCE))]),
    Operation::new("POST /api/v1/clients/{id}/data_sources", "It brings data from a data source", "Super admins.")
        .conditional()
        .takes(&WHICH_DATA_SOURCE)
        .answers(&[(201, Content::Object(&CLIENT_DATA_SOURCE))]),
    Operation::new("DELETE /api/v1/clients/{id}/data_sources", "It brings data from it no more", "Super admins.")
        .conditional()
        .takes(&WHICH_DATA_SOURCE)
        .answers(&[(204, Content::Nothing)]),
];

const DATA_SOURCE_ID: &str = "dataSourceId";

/// A data source of a client. `client_id`, the row of the client, keeps its underscore and is a text: so existing apps read it.
#[derive(Serialize)]
struct Row {
    id: i32,
    client_id: String,
    #[serde(rename = "dataSourceId")]
    data_source: i32,
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("id")?;
    match *request.method() {
        Method::GET => list(app, id).await,
        Method::POST => add(app, request, &actor, id).await,
        _ => remove(app, request, &actor, id).await,
    }
}

async fn list(app: &App, id: i32) -> Result<Response, Failure> {
    let rows = app.store().await?.client_data_sources(id).await?.ok_or(Failure::NotFound)?;
    Ok(json(StatusCode::OK, &rows)?)
}

async fn add(app: &App, request: &Request, actor: &Actor, id: i32) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Update, "Client");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    let source = source(request)?;
    match app.store().await?.add_source_part(&context, id, SourceParts::OfClient, source).await? {
        Added::Done(_) => {
            let row = Row { id: source, client_id: id.to_string(), data_source: source };
            Ok(json(StatusCode::CREATED, &row)?)
        }
        Added::NoOwner => Err(Failure::NotFound),
        Added::NoPart => Err(Failure::field(DATA_SOURCE_ID, "There is no data source with this id.")),
    }
}

async fn remove(app: &App, request: &Request, actor: &Actor, id: i32) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Update, "Client");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    let source = source(request)?;
    if app.store().await?.remove_source_part(&context, id, SourceParts::OfClient, source).await? {
        Ok(no_content())
    } else {
        Err(Failure::NotFound)
    }
}

/// The data source that the body names.
fn source(request: &Request) -> Result<i32, Failure> {
    let fields = Fields::parse(request)?;
    fields.check(&WHICH_DATA_SOURCE, Completeness::Whole)?;
    request.has_no_version()?;
    fields.id(DATA_SOURCE_ID)
}
