//! `GET /FHIR/R5/Device` and `POST /FHIR/R5/Device/_search`: search the data sources
//! (<https://hl7.org/fhir/R5/http.html#search>).

use fhir::search::Directory;
use runtime::{App, Failure, Function, Interaction, Needs, Protocol, Request, Response, directory};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-device-search", Protocol::Fhir, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Device", Interaction::Search).await?;
    let search = directory::Search::parse(Directory::Device, app, request, &actor).await?;
    let found = directory::data_sources(app, &search).await?;
    search.answer(app, &found).await
}
