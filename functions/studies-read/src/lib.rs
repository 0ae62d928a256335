//! `GET /api/v1/studies/{id}`: one study.

use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, directory, json};

/// The function.
pub const FUNCTION: Function =
    Function::new("studies-read", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("id")?;
    Ok(json(StatusCode::OK, &directory::study(app, request, &actor, id).await?)?)
}
