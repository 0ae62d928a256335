//! `GET /FHIR/R5/Consent/{id}`: read one decision of a patient (<https://hl7.org/fhir/R5/http.html#read>).

use audit::Action;
use http::StatusCode;
use runtime::{App, Failure, Function, Interaction, Needs, Protocol, Request, Response, consent, version_response};
use store::Reader;

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-consent-read", Protocol::Fhir, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Consent", Interaction::Read).await?;
    let id: i64 = request.id_variable("id")?;
    let context = request.audit(Some(&actor), Action::Read, "Consent");
    let read = app.store().await?.read_consent(&context, Reader::from(&actor), id).await?;
    // Whatever refused, the caller is told the same: a decision that may not be seen does not exist.
    let record = read.map_err(|_| Failure::NotFound)?;
    let consent = consent::resource(&record);
    Ok(version_response(StatusCode::OK, consent.to_json(), consent.version(), record.decided_at))
}
