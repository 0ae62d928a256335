//! `GET /api/v1/data_sources/{id}`: one data source.

use api::{Content, Operation, shapes};
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, versioned};

/// The function.
pub const FUNCTION: Function =
    Function::new("data-sources-read", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new("GET /api/v1/data_sources/{id}", "One data source", "Every user.")
    .versioned()
    .answers(&[(200, Content::Object(&shapes::data_source::DATA_SOURCE))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    request.actor(app).await?;
    let id = request.id_variable("id")?;
    let rows = app.store().await?.data_sources(&[id]).await?;
    let found = rows.first().ok_or(Failure::NotFound)?;
    Ok(versioned(json(StatusCode::OK, found)?, found.last_updated))
}
