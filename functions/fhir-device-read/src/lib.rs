//! `GET /FHIR/R5/Device/{id}`: read one data source (<https://hl7.org/fhir/R5/http.html#read>).

use runtime::{App, Failure, Function, Interaction, Needs, Protocol, Request, Response, directory};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-device-read", Protocol::Fhir, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    request.fhir_actor(app, "Device", Interaction::Read).await?;
    let id = request.id_variable("id")?;
    directory::read(&app.store().await?.data_source(id).await?)
}
