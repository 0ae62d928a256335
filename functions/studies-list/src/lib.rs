//! `GET /api/v1/studies`: the caller's studies, or those of one organization.

use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, directory, rest::List};

/// The function.
pub const FUNCTION: Function =
    Function::new("studies-list", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let list = List::parse(app, request, actor.user).await?;
    let rows = directory::studies(app, request, &actor, &[], list.id("organization_id")?).await?;
    list.whole(app, &rows)
}
