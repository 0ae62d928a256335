//! `GET /api/v1/studies/{id}`: one study.

use api::{Content, Operation, shapes};
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, directory, json, study, versioned};

/// The function.
pub const FUNCTION: Function =
    Function::new("studies-read", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] =
    [Operation::new("GET /api/v1/studies/{id}", "One study", "Who may see it in the list of studies.")
        .versioned()
        .answers(&[(200, Content::Object(&shapes::study::STUDY))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("id")?;
    let found = directory::study(app, request, &actor, id).await?;
    Ok(versioned(json(StatusCode::OK, &study::read(&found))?, found.last_updated))
}
