//! `POST /o/token/`: exchanges a code, a refresh token or the client's own credentials for tokens (RFC 6749 sections 4.1.3,
//! 4.4 and 6, OpenID Connect Core 1.0 section 3.1.3). Public: the client and the grant are proved in the request.

mod client_credentials;

use audit::{Action, Context, RefusedBy, Target};
use authz::{ClientId, Layer};
use http::{StatusCode, header};
use oauth::{
    Client, ClientKind, OAuthError, Params, Secret,
    client_auth::ClientAuthentication,
    discovery::Endpoints,
    dpop::Proof,
    grant::{self, GrantError, Terms},
    id_token::{IdTokenClaims, IdTokenFacts},
    scope::{LAUNCH_PATIENT, OPENID},
    token_request::{Grant, TokenRequest},
    token_response::TokenResponse,
};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, client, json};
use signing_keys::{Keys, KeysError};
use store::{Exchanged, NewTokens, Store};

/// The function.
pub const FUNCTION: Function =
    Function::new("oauth-token", Protocol::OAuth, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// The tokens in the clear, for as long as it takes to answer.
struct Tokens {
    access: Secret,
    refresh: Secret,
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let params = Params::from_pairs(request.form()?)?;
    let mut context = request.audit(None, Action::Execute, "Token");
    let authorization = request.header(header::AUTHORIZATION);
    let asked = match TokenRequest::parse(authorization, &params) {
        Ok(asked) => asked,
        Err(error) => return Err(client::refused(app, &mut context, authorization, &params, error).await),
    };
    // Needed after the exchange, when the code is used up: a failure must come before.
    let keys = signing_keys::keys(app).await?;
    let store = app.store().await?;
    let client = client::authenticate(app, &context, &sender(store, &context, &asked).await?).await?;
    context.client_id = Some(ClientId(client.id));
    let proof = client::binding(app, request, &context).await?;
    let tokens = Tokens { access: Secret::generate()?, refresh: Secret::generate()? };
    let new = new_tokens(app, &client, &tokens, proof.as_ref());
    let settings = &app.settings;
    let terms = Terms { now: app.now(), lifetimes: &settings.lifetimes, site_url: &settings.site_url };
    let admins = settings.super_admins_need_factor;
    let outcome = match &asked.grant {
        Grant::ClientCredentials(service) => {
            return client_credentials::issue(app, store, &context, &client, service, proof.as_ref()).await;
        }
        Grant::AuthorizationCode(code) => {
            let decide = |record: &_| grant::redeem_code(record, code, &client, proof.as_ref(), &terms);
            store.redeem_code(&context, &code.code.hash(), &new, admins, decide).await
        }
        Grant::RefreshToken(refresh) => {
            let decide = |record: &_| grant::rotate_refresh(record, refresh, &client, proof.as_ref(), &terms);
            store.rotate_refresh(&context, &refresh.refresh_token.hash(), &new, admins, decide).await
        }
    };
    let exchanged = exchanged(store, &context, outcome?).await?;
    let id_token = id_token(app, &keys, &client, &exchanged, &tokens).await;
    // A refresh token is used up by now, and the answer to a refresh needs no id_token (OpenID Connect Core 1.0 section 12.2).
    let id_token = match (&asked.grant, id_token) {
        (Grant::RefreshToken(_), Err(error)) => {
            tracing::warn!(%error, "refreshed without an id_token");
            None
        }
        (_, id_token) => id_token?,
    };
    Ok(json(StatusCode::OK, &answer(app, exchanged, tokens, proof.is_some(), id_token))?)
}

/// Who asks: who the request names, or whose refresh token it is.
async fn sender(store: &Store, context: &Context, asked: &TokenRequest) -> Result<ClientAuthentication, Failure> {
    let client_id = match (&asked.client, &asked.grant) {
        (Some(named), _) => return Ok(named.clone()),
        (None, Grant::RefreshToken(refresh)) => store.client_of_refresh(&refresh.refresh_token.hash()).await?,
        (None, _) => None,
    };
    match client_id {
        Some(client_id) => Ok(ClientAuthentication::by_token(client_id)),
        None => Err(worthless(store, context).await),
    }
}

/// What the database is to keep of the tokens. The refresh token of a public client is bound too: nothing else keeps it from
/// being used by who stole it (RFC 9449 section 5).
fn new_tokens(app: &App, client: &Client, tokens: &Tokens, proof: Option<&Proof>) -> NewTokens {
    let key = proof.map(|proof| proof.key.clone());
    let now = app.now();
    let lifetimes = &app.settings.lifetimes;
    NewTokens {
        access: tokens.access.hash(),
        access_expires_at: now + lifetimes.access,
        refresh_key: key.clone().filter(|_| matches!(client.kind, ClientKind::Public)),
        access_key: key,
        refresh: tokens.refresh.hash(),
        refresh_expires_at: now + lifetimes.refresh,
    }
}

/// What a grant was exchanged for. The store records an allowed exchange and a refused one; a grant that does not exist is
/// recorded here.
async fn exchanged(
    store: &Store,
    context: &Context,
    outcome: Option<Result<Exchanged, GrantError>>,
) -> Result<Exchanged, Failure> {
    match outcome {
        Some(Ok(exchanged)) => Ok(exchanged),
        Some(Err(error)) => Err(error.answer().into()),
        None => Err(worthless(store, context).await),
    }
}

/// Records that somebody brought a code or a token that does not exist: the failure to answer with.
async fn worthless(store: &Store, context: &Context) -> Failure {
    match store.record_refusal(context, &Target::nothing(), RefusedBy::Layer(Layer::Token)).await {
        Ok(()) => OAuthError::invalid_grant().into(),
        Err(failure) => failure.into(),
    }
}

/// The `id_token`, if the scope asks for one (OpenID Connect Core 1.0 section 3.1.3.3).
async fn id_token(
    app: &App,
    keys: &Keys,
    client: &Client,
    exchanged: &Exchanged,
    tokens: &Tokens,
) -> Result<Option<Secret>, KeysError> {
    let Exchanged { granted, subject, methods } = exchanged;
    if !granted.scope.contains(OPENID) {
        return Ok(None);
    }
    let claims = IdTokenClaims::new(&IdTokenFacts {
        endpoints: &Endpoints::new(&app.settings.site_url),
        client_id: &client.client_id,
        subject,
        scope: &granted.scope,
        nonce: granted.nonce.as_deref(),
        auth_time: granted.auth_time,
        methods,
        access_token: &tokens.access,
        lifetime: app.settings.lifetimes.id_token,
        now: app.now(),
    });
    keys.sign(app, &claims).await.map(Some)
}

fn answer(app: &App, exchanged: Exchanged, tokens: Tokens, is_bound: bool, id_token: Option<Secret>) -> TokenResponse {
    let Exchanged { granted, subject, .. } = exchanged;
    TokenResponse {
        access_token: tokens.access,
        is_bound,
        expires_in: app.settings.lifetimes.access.as_secs(),
        refresh_token: granted.refresh_scope.is_some().then_some(tokens.refresh),
        issued_token_type: None,
        patient: subject.patient.filter(|_| granted.scope.contains(LAUNCH_PATIENT)),
        scope: granted.scope,
        id_token,
    }
}
