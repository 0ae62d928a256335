//! `POST /o/token/`: exchanges a code, a refresh token or the client's own credentials for tokens (RFC 6749 sections 4.1.3,
//! 4.4 and 6, OpenID Connect Core 1.0 section 3.1.3). Public: the client and the grant are proved in the request.

mod client_credentials;

use audit::{Action, Context, RefusedBy, Target};
use authz::{ClientId, Layer};
use http::{StatusCode, header};
use oauth::{
    Client, OAuthError, Params, Secret,
    discovery::Endpoints,
    grant::{self, GrantError},
    id_token::{IdTokenClaims, IdTokenFacts},
    scope::OPENID,
    token_request::{Grant, TokenRequest},
    token_response::TokenResponse,
};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, client, json};
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
    let asked = TokenRequest::parse(request.header(header::AUTHORIZATION), &params)?;
    // Needed after the exchange, when the code is used up: a failure must come before.
    app.signing_key().await?;
    let store = app.store().await?;
    let mut context = request.audit(None, Action::Execute, "Token");
    let client = client::authenticate(app, &context, &asked.client).await?;
    context.client_id = Some(ClientId(client.id));
    let tokens = Tokens { access: Secret::generate()?, refresh: Secret::generate()? };
    let new = new_tokens(app, &tokens);
    let now = app.now();
    let outcome = match &asked.grant {
        Grant::ClientCredentials(scope) => {
            return client_credentials::issue(app, store, &context, &client, scope.as_ref()).await;
        }
        Grant::AuthorizationCode(code) => {
            let decide = |record: &_| grant::redeem_code(record, code, &client, now);
            store.redeem_code(&context, &code.code.hash(), &new, decide).await
        }
        Grant::RefreshToken(refresh) => {
            let decide = |record: &_| grant::rotate_refresh(record, refresh, &client, now);
            store.rotate_refresh(&context, &refresh.refresh_token.hash(), &new, decide).await
        }
    };
    let exchanged = exchanged(store, &context, outcome?).await?;
    Ok(json(StatusCode::OK, &answer(app, &client, exchanged, tokens).await?)?)
}

/// What the database is to keep of the tokens.
fn new_tokens(app: &App, tokens: &Tokens) -> NewTokens {
    let now = app.now();
    let lifetimes = &app.settings.lifetimes;
    NewTokens {
        access: tokens.access.hash(),
        access_expires_at: now + lifetimes.access,
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
        None => {
            store.record_refusal(context, &Target::nothing(), RefusedBy::Layer(Layer::Token)).await?;
            Err(OAuthError::invalid_grant().into())
        }
    }
}

async fn answer(app: &App, client: &Client, exchanged: Exchanged, tokens: Tokens) -> Result<TokenResponse, Failure> {
    let Exchanged { granted, subject } = exchanged;
    let lifetimes = &app.settings.lifetimes;
    let id_token = if granted.scope.contains(OPENID) {
        let claims = IdTokenClaims::new(&IdTokenFacts {
            issuer: Endpoints::new(&app.settings.site_url).issuer(),
            client_id: &client.client_id,
            subject: &subject,
            scope: &granted.scope,
            nonce: granted.nonce.as_deref(),
            auth_time: granted.auth_time,
            access_token: &tokens.access,
            lifetime: lifetimes.id_token,
            now: app.now(),
        });
        Some(app.signing_key().await?.sign(&claims).map_err(|error| Failure::Internal(Box::new(error)))?)
    } else {
        None
    };
    Ok(TokenResponse {
        access_token: tokens.access,
        expires_in: lifetimes.access.as_secs(),
        refresh_token: granted.refresh_scope.is_some().then_some(tokens.refresh),
        scope: granted.scope,
        id_token,
    })
}
