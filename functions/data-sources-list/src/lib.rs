//! `GET /api/v1/data_sources`: the data sources and the scopes that each supplies.

use api::{Content, Operation, PAGE, shapes};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, rest::List};

/// The function.
pub const FUNCTION: Function =
    Function::new("data-sources-list", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] =
    [Operation::new("GET /api/v1/data_sources", "The data sources, and the scopes that each supplies", "Every user.")
        .with(&[&PAGE])
        .answers(&[(200, Content::Page(&shapes::data_source::DATA_SOURCE))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let list = List::parse(app, request, actor.user).await?;
    let page = app.store().await?.data_source_page(list.slice()).await?;
    let next = page.rows.last().filter(|_| page.more).map(|source| i64::from(source.id));
    list.page(app, actor.user, page.total, &page.rows, next).await
}
