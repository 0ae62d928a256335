//! `POST /api/v1/clients`, `PATCH` and `DELETE /api/v1/clients/{id}`: a super admin registers, changes and ends clients. A
//! secret is made here, and is in the answer to the request that made it and nowhere else.

mod input;

use api::{Completeness, Content, Operation, shapes::clients::CLIENT};
use audit::{Action, Context, Target};
use authz::Actor;
use http::{Method, StatusCode};
use input::Wanted;
use oauth::Secret;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, no_content, rest::Fields};
use serde::Serialize;
use store::{RegisteredClient, SecretChange, Store};

/// The function.
pub const FUNCTION: Function =
    Function::new("clients-register", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const WHO: &str = "Super admins.";

const OPERATIONS: [Operation; 3] = [
    Operation::new("POST /api/v1/clients", "Register a client; a secret is in the answer and nowhere else", WHO)
        .takes(&input::CLIENT)
        .answers(&[(201, Content::Object(&CLIENT))]),
    Operation::new("PATCH /api/v1/clients/{id}", "Change a registered client", WHO)
        .changes(&input::CLIENT)
        .answers(&[(200, Content::Object(&CLIENT))]),
    Operation::new("DELETE /api/v1/clients/{id}", "End a client and its tokens", WHO)
        .answers(&[(204, Content::Nothing)]),
];

/// A client, with the secret that was just made for it.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    client: &'a RegisteredClient,
    #[serde(rename = "clientSecret", skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    match *request.method() {
        Method::POST => register(app, request, &actor).await,
        Method::PATCH => change(app, request, &actor).await,
        _ => delete(app, request, &actor).await,
    }
}

/// Lets only a super admin pass.
async fn permit(app: &App, request: &Request, actor: &Actor, action: Action) -> Result<Context, Failure> {
    let context = request.audit(Some(actor), action, "Client");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    Ok(context)
}

async fn register(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = permit(app, request, actor, Action::Create).await?;
    let fields = Fields::parse(request)?;
    let wanted = Wanted::default().with(&fields, Completeness::Whole)?;
    let secret = wanted.has_secret().then(Secret::generate).transpose()?;
    let hash = secret.as_ref().map(Secret::hash);
    let store = app.store().await?;
    let id = store
        .register_client(&context, Secret::generate()?.expose(), hash.as_ref(), &wanted.record())
        .await?
        .ok_or_else(no_account)?;
    answer(store, StatusCode::CREATED, id, secret.as_ref()).await
}

async fn change(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = permit(app, request, actor, Action::Update).await?;
    let id = request.id_variable("id")?;
    let fields = Fields::parse(request)?;
    let store = app.store().await?;
    let known = registered(store, id).await?;
    if known.owned_by.is_some() {
        return Err(Failure::Forbidden("A practitioner's own client can be deleted, not changed."));
    }
    let had_secret = input::method_has_secret(&known.token_endpoint_auth_method);
    let wanted = Wanted::from(known).with(&fields, Completeness::Part)?;
    let needs_new = wanted.has_secret() && (!had_secret || fields.flag("rotateSecret")? == Some(true));
    let secret = needs_new.then(Secret::generate).transpose()?;
    let secret_change = match &secret {
        Some(secret) => SecretChange::Replace(secret.hash()),
        None if wanted.has_secret() => SecretChange::Keep,
        None => SecretChange::Remove,
    };
    if !store.change_client(&context, id, secret_change, &wanted.record()).await? {
        return Err(no_account());
    }
    answer(store, StatusCode::OK, id, secret.as_ref()).await
}

async fn delete(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = permit(app, request, actor, Action::Delete).await?;
    let id = request.id_variable("id")?;
    if app.store().await?.delete_client(&context, id, None).await? { Ok(no_content()) } else { Err(Failure::NotFound) }
}

async fn registered(store: &Store, id: i32) -> Result<RegisteredClient, Failure> {
    store.registered_clients(&[id], true).await?.into_iter().next().ok_or(Failure::NotFound)
}

async fn answer(store: &Store, status: StatusCode, id: i32, secret: Option<&Secret>) -> Result<Response, Failure> {
    let client = registered(store, id).await?;
    Ok(json(status, &Answer { client: &client, secret: secret.map(Secret::expose) })?)
}

fn no_account() -> Failure {
    Failure::field("actsAs", "There is no active practitioner's account with this id.")
}
