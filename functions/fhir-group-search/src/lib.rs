//! `GET /FHIR/R5/Group` and `POST /FHIR/R5/Group/_search`: search the caller's studies
//! (<https://hl7.org/fhir/R5/http.html#search>).

use fhir::search::Directory;
use runtime::{App, Failure, Function, Interaction, Needs, Protocol, Request, Response, directory};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-group-search", Protocol::Fhir, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Group", Interaction::Search).await?;
    let search = directory::parse(Directory::Group, request)?;
    let rows = directory::studies(app, request, &actor, &search.ids, search.organization).await?;
    directory::search(app, actor.user, &search, &rows).await
}
