//! `GET /api/v1/organizations`: the caller's organizations, with the caller's role in each.

use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, rest::List};
use store::Reader;

/// The function.
pub const FUNCTION: Function =
    Function::new("organizations-list", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let list = List::parse(app, request, actor.user).await?;
    let rows = app.store().await?.organizations(Reader::from(&actor), &[]).await?;
    list.whole(app, &rows)
}
