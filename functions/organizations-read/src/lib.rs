//! `GET /api/v1/organizations/{id}`: one organization, with the caller's role in it.

use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, directory, json};

/// The function.
pub const FUNCTION: Function =
    Function::new("organizations-read", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("id")?;
    Ok(json(StatusCode::OK, &directory::organization(app, request, &actor, id).await?)?)
}
