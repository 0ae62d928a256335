//! `GET /FHIR/R5/Group` and `POST /FHIR/R5/Group/_search`: search the caller's studies
//! (<https://hl7.org/fhir/R5/http.html#search>).

use fhir::search::Directory;
use runtime::{App, Failure, Function, Interaction, Needs, Protocol, Request, Response, directory};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-group-search", Protocol::Fhir, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Group", Interaction::Search).await?;
    let search = directory::Search::parse(Directory::Group, app, request, &actor).await?;
    let found = directory::studies(app, request, &actor, &search).await?;
    search.answer(app, &found).await
}
