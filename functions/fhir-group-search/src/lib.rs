//! `GET /FHIR/R5/Group` and `POST /FHIR/R5/Group/_search`: search the caller's studies
//! (<https://hl7.org/fhir/R5/http.html#search>).

use fhir::search::Directory;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, directory};
use store::Reader;

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-group-search", Protocol::Fhir, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let search = directory::parse(Directory::Group, request)?;
    if let Some(named) = search.organization {
        directory::own_organization(app, &actor, named).await?;
    }
    let rows = app.store().await?.studies(Reader::from(&actor), &search.ids, search.organization).await?;
    directory::search(app, actor.user, &search, &rows).await
}
