//! `GET /FHIR/R5/Group/{id}`: read one study (<https://hl7.org/fhir/R5/http.html#read>).

use runtime::{App, Failure, Function, Interaction, Needs, Protocol, Request, Response, directory};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-group-read", Protocol::Fhir, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Group", Interaction::Read).await?;
    let id = request.id_variable("id")?;
    directory::read(&[directory::study(app, request, &actor, id).await?])
}
