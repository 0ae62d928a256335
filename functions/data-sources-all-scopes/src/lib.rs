//! `GET /api/v1/data_sources/all_scopes`: every scope that a study can ask for.

use api::{Content, Operation, shapes};
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json};

/// The function.
pub const FUNCTION: Function =
    Function::new("data-sources-all-scopes", Protocol::Rest, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    })
    .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] =
    [Operation::new("GET /api/v1/data_sources/all_scopes", "Every scope that a study can ask for", "Every user.")
        .answers(&[(200, Content::List(&shapes::SCOPE))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    request.actor(app).await?;
    Ok(json(StatusCode::OK, &app.store().await?.scopes().await?)?)
}
