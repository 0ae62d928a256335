//! `GET /FHIR/R5/Patient/{id}`: read one patient (<https://hl7.org/fhir/R5/http.html#read>).

use audit::Action;
use http::StatusCode;
use runtime::{App, Failure, Function, Interaction, Needs, Protocol, Request, Response, patient, record_response};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-patient-read", Protocol::Fhir, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Patient", Interaction::Read).await?;
    let id = request.id_variable("id")?;
    let context = request.audit(Some(&actor), Action::Read, "Patient");
    let found = patient::by_id(app, &context, &actor, id).await?;
    Ok(record_response(StatusCode::OK, patient::resource(&found), found.last_updated))
}
