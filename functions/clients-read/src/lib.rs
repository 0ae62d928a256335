//! `GET /api/v1/clients/{id}`: one registered client, as `clients-list` shows it.

use api::{Content, Operation, shapes::clients::CLIENT};
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, versioned};

/// The function.
pub const FUNCTION: Function =
    Function::new("clients-read", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/clients/{id}",
    "One registered client",
    "Everybody with a token: name and invitation link. Super admins: the whole registration, without the secret.",
)
.versioned()
.answers(&[(200, Content::Object(&CLIENT))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("id")?;
    let row = app.store().await?.registered_client(id, actor.is_privileged()).await?.ok_or(Failure::NotFound)?;
    let response =
        if actor.is_privileged() { json(StatusCode::OK, &row)? } else { json(StatusCode::OK, &row.summary)? };
    Ok(versioned(response, row.last_updated))
}
