//! `GET /api/v1/clients/{id}`: one registered client, as `clients-list` shows it.

use api::{Content, Operation, shapes::clients::CLIENT};
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json};

/// The function.
pub const FUNCTION: Function =
    Function::new("clients-read", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/clients/{id}",
    "One registered client",
    "Everybody with a token: name and invitation link. Super admins: the whole registration, without the secret.",
)
.answers(&[(200, Content::Object(&CLIENT))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("id")?;
    let rows = app.store().await?.registered_clients(&[id], actor.is_privileged()).await?;
    let row = rows.into_iter().next().ok_or(Failure::NotFound)?;
    if actor.is_privileged() {
        return Ok(json(StatusCode::OK, &row)?);
    }
    Ok(json(StatusCode::OK, &row.summary)?)
}
