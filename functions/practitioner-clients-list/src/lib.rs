//! `GET /api/v1/practitioner_clients`: the clients that a practitioner made for themselves. Their keys are not told again.

use api::{Content, Operation, PAGE, shapes::clients::OWN_CLIENT};
use audit::{Action, Target};
use authz::{Layer, Refusal};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, rest::List};
use serde::Serialize;
use store::OwnClient;

/// The function.
pub const FUNCTION: Function =
    Function::new("practitioner-clients-list", Protocol::Rest, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    })
    .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/practitioner_clients",
    "The clients that the caller made for themself, without their keys",
    "Practitioners who signed in; not their clients.",
)
.with(&[&PAGE])
.answers(&[(200, Content::Page(&OWN_CLIENT))])];

/// A client, in the shape of the answer that told its key.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    client: OwnClient,
    key: Option<&'static str>,
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let is_by_client = request.authenticated(app).await?.is_by_client;
    let actor = request.actor(app).await?;
    if actor.practitioner().is_none() || is_by_client {
        let context = request.audit(Some(&actor), Action::Search, "Client");
        return Err(request.refuse(app, &context, &Target::nothing(), Refusal::known(Layer::UserType)).await);
    }
    let list = List::parse(app, request, actor.user).await?;
    let clients = app.store().await?.own_clients(actor.user).await?;
    let rows: Vec<Row> = clients.into_iter().map(|client| Row { client, key: None }).collect();
    list.whole(app, &rows)
}
