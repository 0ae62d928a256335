//! `POST /api/v1/practitioner_clients` and `DELETE /api/v1/practitioner_clients/{id}`: a practitioner makes a client that acts
//! as themselves by the grant `client_credentials`, and ends it. The key is in the answer and nowhere else; only the hash of
//! its secret is kept.

use api::{Completeness, Content, Kind, Operation, Shape, required, shapes::clients::OWN_CLIENT};
use audit::{Action, Context, Target};
use authz::{Actor, Layer, PractitionerId, Refusal};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, StatusCode};
use oauth::{
    Secret,
    registration::is_legible,
    scope::{EMAIL, OPENID, PROFILE},
};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, no_content, rest::Fields};
use serde::Serialize;
use store::{Changed, NewOwnClient, OwnClient};

/// The function.
pub const FUNCTION: Function =
    Function::new("practitioner-clients-manage", Protocol::Rest, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    })
    .describing(&OPERATIONS);

const NEW: Shape = Shape { name: "NewOwnClient", fields: &[required("label", Kind::Text(100))] };

const OPERATIONS: [Operation; 2] = [
    Operation::new(
        "POST /api/v1/practitioner_clients",
        "Make a client that acts as the caller by `client_credentials`; its key is in the answer and nowhere else",
        "Practitioners who signed in; not their clients.",
    )
    .takes(&NEW)
    .answers(&[(201, Content::Object(&OWN_CLIENT))]),
    Operation::new(
        "DELETE /api/v1/practitioner_clients/{id}",
        "End a client and its tokens",
        "The practitioner who made it; not their clients.",
    )
    .conditional()
    .answers(&[(204, Content::Nothing)]),
];

/// More than one for every notebook and job of a researcher.
const LIMIT: i64 = 20;

/// A client as made, with what goes after `Authorization: Basic`.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    client: OwnClient,
    key: String,
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    request.authenticated(app).await?;
    let actor = request.actor(app).await?;
    match *request.method() {
        Method::POST => create(app, request, &actor).await,
        _ => delete(app, request, &actor).await,
    }
}

/// Lets only practitioners pass who are there themselves. A super admin has no such client: its secret would stand for their
/// second factor. A client that acts by itself makes and ends none: whoever gets hold of one key must not get further ones that
/// stay when it is taken back, nor end the others.
async fn permit(
    app: &App,
    request: &Request,
    actor: &Actor,
    action: Action,
) -> Result<(Context, PractitionerId), Failure> {
    let context = request.audit(Some(actor), action, "Client");
    match actor.practitioner() {
        Some(practitioner) if !request.authenticated(app).await?.is_by_client => Ok((context, practitioner)),
        _ => Err(request.refuse(app, &context, &Target::nothing(), Refusal::known(Layer::UserType)).await),
    }
}

async fn create(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let (context, practitioner) = permit(app, request, actor, Action::Create).await?;
    let fields = Fields::parse(request)?;
    fields.check(&NEW, Completeness::Whole)?;
    let label = fields.text("label", 100)?;
    if !is_legible(&label) {
        return Err(Failure::field(
            "label",
            "Invisible characters and those that turn the direction of text are not allowed.",
        ));
    }
    let (client_id, secret) = (Secret::generate()?, Secret::generate()?);
    let new = NewOwnClient {
        user: actor.user,
        practitioner,
        label: &label,
        client_id: client_id.expose(),
        secret: secret.hash(),
        scopes: &[OPENID, PROFILE, EMAIL].map(str::to_owned),
        limit: LIMIT,
    };
    let client = app.store().await?.create_own_client(&context, &new).await?;
    let client = client.ok_or(Failure::Conflict("You have as many clients as you may have. Delete one first."))?;
    let key = STANDARD.encode(format!("{}:{}", client_id.expose(), secret.expose()));
    Ok(json(StatusCode::CREATED, &Answer { client, key })?)
}

async fn delete(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let (context, _) = permit(app, request, actor, Action::Delete).await?;
    let id = request.id_variable("id")?;
    match app.store().await?.delete_client(&context, id, Some(actor.user), &request.expected()).await? {
        // A practitioner's own client invites nobody.
        Changed::Done(_) => Ok(no_content()),
        Changed::Stale => Err(Failure::Changed),
        Changed::Missing => Err(Failure::NotFound),
    }
}
