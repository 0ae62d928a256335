//! `POST /api/v1/clients`, `PATCH` and `DELETE /api/v1/clients/{id}`: a super admin registers, changes and ends clients. A
//! secret is made here, and is in the answer to the request that made it and nowhere else.

mod input;

use api::{Content, Operation, shapes::clients::CLIENT};
use audit::{Action, Context, Target};
use authz::Actor;
use http::{Method, StatusCode};
use input::{CLIENT_ID, Wanted};
use oauth::Secret;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, no_content, rest::Fields, versioned};
use serde::Serialize;
use store::{Changed, ClientChange, ClientRegistration, RegisteredClient, SecretChange, Store};

/// The function.
pub const FUNCTION: Function =
    Function::new("clients-register", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const WHO: &str = "Super admins.";

const OPERATIONS: [Operation; 3] = [
    Operation::new("POST /api/v1/clients", "Register a client; a secret is in the answer and nowhere else", WHO)
        .versioned()
        .takes(&input::CLIENT)
        .answers(&[(201, Content::Object(&CLIENT))]),
    Operation::new("PATCH /api/v1/clients/{id}", "Change a registered client", WHO)
        .versioned()
        .conditional()
        .also_fails(&[409])
        .changes(&input::CLIENT)
        .answers(&[(200, Content::Object(&CLIENT))]),
    Operation::new("DELETE /api/v1/clients/{id}", "End a client and its tokens; none that a study uses", WHO)
        .conditional()
        .also_fails(&[409])
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

/// Told when its invitations would end under a study.
const IN_USE: Failure =
    Failure::Conflict("A study invites its patients to this client. Take it out of the study first.");

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
    let wanted = Wanted::new(&fields, &app.settings.site_url)?;
    let client_id = match input::client_id(&fields)? {
        Some(id) => id,
        None => Secret::generate()?.expose().to_owned(),
    };
    permit_static_pkce(app, &wanted, false)?;
    let secret = wanted.has_secret().then(Secret::generate).transpose()?;
    let hash = secret.as_ref().map(Secret::hash);
    let store = app.store().await?;
    let id = match store.register_client(&context, &client_id, hash.as_ref(), &wanted.record()).await? {
        ClientRegistration::Done(id) => id,
        ClientRegistration::NoAccount => return Err(no_account()),
        ClientRegistration::Taken => {
            return Err(Failure::field(CLIENT_ID, "There is or was a client with this identifier."));
        }
    };
    answer(store, StatusCode::CREATED, id, secret.as_ref()).await
}

async fn change(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = permit(app, request, actor, Action::Update).await?;
    let id = request.id_variable("id")?;
    let fields = Fields::parse(request)?;
    let store = app.store().await?;
    let known = registered(store, id).await?;
    let known_at = known.last_updated;
    if request.expected().times().is_some_and(|times| !times.contains(&known_at)) {
        return Err(Failure::Changed);
    }
    if known.owned_by.is_some() {
        return Err(Failure::Forbidden("A practitioner's own client can be deleted, not changed."));
    }
    if input::client_id(&fields)?.is_some_and(|client_id| client_id != known.summary.client_id) {
        return Err(Failure::field(CLIENT_ID, "It is never changed."));
    }
    let (had_secret, was_static) = (input::method_has_secret(&known.token_endpoint_auth_method), known.static_pkce);
    let wanted = Wanted::from(known).with(&fields)?;
    permit_static_pkce(app, &wanted, was_static)?;
    let needs_new = wanted.has_secret() && (!had_secret || fields.flag("rotateSecret")? == Some(true));
    let secret = needs_new.then(Secret::generate).transpose()?;
    let secret_change = match &secret {
        Some(secret) => SecretChange::Replace(secret.hash()),
        None if wanted.has_secret() => SecretChange::Keep,
        None => SecretChange::Remove,
    };
    // What is changed is what was looked at: not what somebody else made of it meanwhile.
    match store.change_client(&context, id, known_at, secret_change, &wanted.record()).await? {
        Changed::Done(ClientChange::Done) => {}
        Changed::Done(ClientChange::NoAccount) => return Err(no_account()),
        Changed::Done(ClientChange::InUse) => return Err(IN_USE),
        Changed::Stale => return Err(Failure::Changed),
        Changed::Missing => return Err(Failure::NotFound),
    }
    answer(store, StatusCode::OK, id, secret.as_ref()).await
}

/// The fixed pair is a choice of the deployment first, and then of each client. It is warned about each time.
fn permit_static_pkce(app: &App, wanted: &Wanted, was_static: bool) -> Result<(), Failure> {
    if !wanted.has_static_pkce() || was_static {
        return Ok(());
    }
    if app.settings.static_challenge.is_none() {
        return Err(Failure::field("staticPkce", "This deployment has no fixed PKCE pair."));
    }
    tracing::warn!("a client is set to static PKCE: invitations of it are protected by their token alone");
    Ok(())
}

async fn delete(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let context = permit(app, request, actor, Action::Delete).await?;
    let id = request.id_variable("id")?;
    match app.store().await?.delete_client(&context, id, None, &request.expected()).await? {
        Changed::Done(ClientChange::Done) => Ok(no_content()),
        Changed::Done(ClientChange::InUse | ClientChange::NoAccount) => Err(IN_USE),
        Changed::Stale => Err(Failure::Changed),
        Changed::Missing => Err(Failure::NotFound),
    }
}

async fn registered(store: &Store, id: i32) -> Result<RegisteredClient, Failure> {
    store.registered_client(id, true).await?.ok_or(Failure::NotFound)
}

async fn answer(store: &Store, status: StatusCode, id: i32, secret: Option<&Secret>) -> Result<Response, Failure> {
    let client = registered(store, id).await?;
    let answer = json(status, &Answer { client: &client, secret: secret.map(Secret::expose) })?;
    Ok(versioned(answer, client.last_updated))
}

fn no_account() -> Failure {
    Failure::field("actsAs", "There is no active practitioner's account with this id.")
}
