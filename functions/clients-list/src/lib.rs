//! `GET /api/v1/clients`: the registered clients. Every user sees names and invitation links; a super admin the whole
//! registration, and the clients that practitioners made for themselves.

use api::{Content, Operation, PAGE, shapes::clients::CLIENT};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, rest::List};

/// The function.
pub const FUNCTION: Function =
    Function::new("clients-list", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/clients",
    "The registered clients",
    "Everybody with a token: name and invitation link. Super admins: the whole registration, without the secret.",
)
.with(&[&PAGE])
.answers(&[(200, Content::Page(&CLIENT))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let list = List::parse(app, request, actor.user).await?;
    let page = app.store().await?.registered_clients(actor.is_privileged(), list.slice()).await?;
    let next = page.rows.last().filter(|_| page.more).map(|client| i64::from(client.summary.id));
    if actor.is_privileged() {
        return list.page(app, actor.user, page.total, &page.rows, next).await;
    }
    let rows: Vec<_> = page.rows.into_iter().map(|row| row.summary).collect();
    list.page(app, actor.user, page.total, &rows, next).await
}
