//! `GET /FHIR/R5/Practitioner` and `POST /FHIR/R5/Practitioner/_search`: search the practitioners of the caller's organizations
//! (<https://hl7.org/fhir/R5/http.html#search>).

use fhir::search::Directory;
use runtime::{App, Failure, Function, Interaction, Needs, Protocol, Request, Response, directory};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-practitioner-search", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Practitioner", Interaction::Search).await?;
    let search = directory::Search::parse(Directory::Practitioner, app, request, &actor).await?;
    let found = directory::practitioners(app, request, &actor, &search).await?;
    search.answer(app, &found).await
}
