//! `GET /FHIR/R5/Organization` and `POST /FHIR/R5/Organization/_search`: search the caller's organizations
//! (<https://hl7.org/fhir/R5/http.html#search>).

use fhir::search::Directory;
use runtime::{App, Failure, Function, Interaction, Needs, Protocol, Request, Response, directory};

/// The function.
pub const FUNCTION: Function =
    Function::new("fhir-organization-search", Protocol::Fhir, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.fhir_actor(app, "Organization", Interaction::Search).await?;
    let search = directory::Search::parse(Directory::Organization, app, request, &actor).await?;
    let found = directory::organizations(app, request, &actor, &search).await?;
    search.answer(app, &found).await
}
