//! `GET /api/v1/patients/me`: the record of the patient who asks.

use api::{Content, Operation, shapes};
use audit::{Action, Target};
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, patient};

/// The function.
pub const FUNCTION: Function =
    Function::new("patients-me", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] =
    [Operation::new("GET /api/v1/patients/me", "The record of the patient who asks", "Patients.")
        .versioned()
        .answers(&[(200, Content::Object(&shapes::PATIENT))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let context = request.audit(Some(&actor), Action::Read, "Patient");
    match actor.patient() {
        Ok(own) => patient::one(StatusCode::OK, &patient::by_id(app, &context, &actor, own).await?),
        Err(refusal) => Err(request.refuse(app, &context, &Target::nothing(), refusal).await),
    }
}
