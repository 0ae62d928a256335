//! `GET /FHIR/R5/Practitioner/{id}`: read one practitioner (<https://hl7.org/fhir/R5/http.html#read>).

use audit::Action;
use runtime::{App, Failure, Function, Interaction, Needs, Protocol, Request, Response, directory};
use store::Reader;

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-practitioner-read", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Practitioner", Interaction::Read).await?;
    let id = request.id_variable("id")?;
    let context = request.audit(Some(&actor), Action::Read, "Practitioner");
    let found = app.store().await?.practitioner(&context, Reader::from(&actor), id).await?;
    directory::read(found.as_slice())
}
