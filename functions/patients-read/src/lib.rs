//! `GET /api/v1/patients/{id}`: one patient.

use audit::Action;
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, patient};

/// The function.
pub const FUNCTION: Function =
    Function::new("patients-read", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("id")?;
    let context = request.audit(Some(&actor), Action::Read, "Patient");
    Ok(json(StatusCode::OK, &patient::by_id(app, &context, &actor, id).await?)?)
}
