//! `GET /api/v1/patients/{id}`: one patient.

use api::{Content, Operation, shapes};
use audit::Action;
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, patient};

/// The function.
pub const FUNCTION: Function =
    Function::new("patients-read", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/patients/{id}",
    "One patient",
    "Members of an organization of the patient, in any role; the patient; super admins.",
)
.versioned()
.answers(&[(200, Content::Object(&shapes::PATIENT))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("id")?;
    let context = request.audit(Some(&actor), Action::Read, "Patient");
    patient::one(StatusCode::OK, &patient::by_id(app, &context, &actor, id).await?)
}
