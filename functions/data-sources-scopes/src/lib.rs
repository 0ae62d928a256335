//! `GET`, `POST` and `DELETE /api/v1/data_sources/{id}/supported_scopes`: what a data source supplies. Super admins say so.

use api::{
    Completeness, Content, Operation,
    shapes::{data_source::SUPPORTED_SCOPE, study::WHICH_SCOPE},
};
use audit::{Action, Target};
use authz::Actor;
use http::{Method, StatusCode};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, no_content, rest::Fields};
use serde_json::{Value, json as value};
use store::{Added, DataSource, SourceParts, Store};

/// The function.
pub const FUNCTION: Function = Function::new("data-sources-scopes", Protocol::Rest, Needs::Database, |app, request| {
    Box::pin(handle(app, request))
})
.describing(&OPERATIONS);

const OPERATIONS: [Operation; 3] = [
    Operation::new("GET /api/v1/data_sources/{id}/supported_scopes", "What a data source supplies", "Every user.")
        .answers(&[(200, Content::List(&SUPPORTED_SCOPE))]),
    Operation::new("POST /api/v1/data_sources/{id}/supported_scopes", "It supplies a scope", "Super admins.")
        .conditional()
        .takes(&WHICH_SCOPE)
        .answers(&[(201, Content::Object(&SUPPORTED_SCOPE))]),
    Operation::new("DELETE /api/v1/data_sources/{id}/supported_scopes", "It supplies a scope no more", "Super admins.")
        .conditional()
        .takes(&WHICH_SCOPE)
        .answers(&[(204, Content::Nothing)]),
];

const SCOPE: &str = "scopeCodeId";

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("id")?;
    match *request.method() {
        Method::GET => list(app.store().await?, id).await,
        Method::POST => add(app, request, &actor, id).await,
        _ => remove(app, request, &actor, id).await,
    }
}

async fn list(store: &Store, id: i32) -> Result<Response, Failure> {
    let source = source(store, id).await?;
    let rows: Vec<Value> = source.supported_scopes.iter().map(|scope| row(&source, scope.id, &value!(scope))).collect();
    Ok(json(StatusCode::OK, &rows)?)
}

async fn add(app: &App, request: &Request, actor: &Actor, id: i32) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Update, "Device");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    let scope = scope(request)?;
    let store = app.store().await?;
    match store.add_source_part(&context, id, SourceParts::Scopes, scope).await? {
        Added::Done(shown) => Ok(json(StatusCode::CREATED, &row(&source(store, id).await?, scope, &shown))?),
        Added::NoOwner => Err(Failure::NotFound),
        Added::NoPart => Err(Failure::field(SCOPE, "There is no scope with this id.")),
    }
}

async fn remove(app: &App, request: &Request, actor: &Actor, id: i32) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Update, "Device");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    let scope = scope(request)?;
    if app.store().await?.remove_source_part(&context, id, SourceParts::Scopes, scope).await? {
        Ok(no_content())
    } else {
        Err(Failure::NotFound)
    }
}

/// The scope that the body names.
fn scope(request: &Request) -> Result<i32, Failure> {
    let fields = Fields::parse(request)?;
    fields.check(&WHICH_SCOPE, Completeness::Whole)?;
    request.has_no_version()?;
    fields.id(SCOPE)
}

async fn source(store: &Store, id: i32) -> Result<DataSource, Failure> {
    store.data_sources(&[id]).await?.pop().ok_or(Failure::NotFound)
}

/// A row of the list. Its id is the scope's: within a data source that names the row.
fn row(source: &DataSource, id: i32, scope: &Value) -> Value {
    let shown =
        value!({ "id": source.id, "name": source.name, "type": source.kind, "lastUpdated": source.last_updated });
    value!({ "id": id, "dataSource": shown, "scopeCode": scope })
}
