//! `POST /o/token-exchange`: the `id_token` of a practitioner who signed in at an EHR, for an access token here (RFC 8693).
//! Public: the client proves who it is in the request, and the EHR's signature is the credential.
//!
//! Without `TOKEN_EXCHANGE_ISSUERS` there is nobody whose tokens could be exchanged.

use audit::{Action, Context, RefusedBy};
use authz::{ClientId, Layer, UserId};
use http::{StatusCode, header};
use oauth::{
    KeySet, KeySource, OAuthError, Params, Secret,
    exchange::{self, ExchangeRequest, Person, SubjectError, SubjectToken, TrustedIssuer},
    resource::Audience,
    token_response::TokenResponse,
};
use runtime::{
    App, Failure, Function, Needs, Protocol, Request, Response, SetupError, TOKEN_EXCHANGE_ISSUERS, account, client,
    json,
};
use std::sync::Arc;
use store::{ConfigError, NewAccess, SignedInElsewhere, SsoAttempt};

/// The function.
pub const FUNCTION: Function =
    Function::new("oauth-token-exchange", Protocol::OAuth, Needs::Database, |app, request| {
        Box::pin(handle(app, request))
    });

/// The providers whose tokens are exchanged.
struct Issuers(Vec<TrustedIssuer>);

impl Issuers {
    fn of(app: &App) -> Result<Arc<Self>, Failure> {
        app.part(|| {
            let text = app.variable(TOKEN_EXCHANGE_ISSUERS).filter(|text| !text.is_empty());
            let issuers = TrustedIssuer::list(text.as_deref().unwrap_or("[]"));
            issuers
                .map(Self)
                .map_err(|error| SetupError::Config(ConfigError::Invalid(TOKEN_EXCHANGE_ISSUERS, error)).into())
        })
    }
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let params = Params::from_pairs(request.form()?)?;
    let mut context = request.audit(None, Action::Execute, "Token");
    let authorization = request.header(header::AUTHORIZATION);
    let asked = match ExchangeRequest::parse(authorization, &params) {
        Ok(asked) => asked,
        Err(error) => return Err(client::refused(app, &mut context, authorization, &params, error).await),
    };
    let issuers = Issuers::of(app)?;
    let client = client::authenticate(app, &context, &asked.client).await?;
    context.client_id = Some(ClientId(client.id));
    let proof = client::binding(app, request, &context).await?;
    let scope = match exchange::scope(&client, asked.scope.as_ref()) {
        Ok(scope) => scope,
        Err(error) => return Err(refused(app, &context, "client", error.answer()).await),
    };
    if !client::knows(app, &asked.audience).await? {
        return Err(refused(app, &context, "unknown_resource", Audience::unknown()).await);
    }
    let (issuer, person) = match judge(app, &issuers, &asked.token).await? {
        Ok(believed) => believed,
        Err(error) => return Err(refused(app, &context, &error.to_string(), exchange::unacceptable()).await),
    };
    let user = match permitted(app, issuer, &person).await? {
        Ok(user) => user,
        Err((refused_by, reason)) => {
            app.store().await?.record_refused_message(&context, refused_by, reason).await?;
            return Err(exchange::unacceptable().into());
        }
    };
    let access = Secret::generate()?;
    let lifetime = app.settings.lifetimes.access;
    let new = NewAccess {
        client: client.id,
        person: Some(SignedInElsewhere { user, at: person.issued_at, by_two_factors: person.has_second_factor }),
        scope: &scope,
        audience: &asked.audience,
        hash: access.hash(),
        expires_at: app.now() + lifetime,
        key: proof.as_ref().map(|proof| &proof.key),
    };
    if !app.store().await?.issue_to_client(&context, &new).await? {
        return Err(refused(app, &context, "account_changed_meanwhile", exchange::unacceptable()).await);
    }
    let answer = TokenResponse {
        access_token: access,
        is_bound: proof.is_some(),
        expires_in: lifetime.as_secs(),
        scope,
        refresh_token: None,
        patient: None,
        issued_token_type: Some(exchange::ACCESS_TOKEN),
        id_token: None,
    };
    Ok(json(StatusCode::OK, &answer)?)
}

/// What the token says, if it is believed. Keys that cannot be had now may be had later.
async fn judge<'a>(
    app: &App,
    issuers: &'a Issuers,
    token: &SubjectToken,
) -> Result<Result<(&'a TrustedIssuer, Person), SubjectError>, Failure> {
    let issuer = match token.issuer(&issuers.0) {
        Ok(issuer) => issuer,
        Err(error) => return Ok(Err(error)),
    };
    let fetched: Arc<KeySet>;
    let keys = match &issuer.keys {
        KeySource::Value(keys) => keys,
        KeySource::Url(url) => {
            let answer = app.key_sets().get(url, token.kid()).await;
            fetched = answer.map_err(|error| Failure::Unavailable(Box::new(error)))?;
            &fetched
        }
    };
    Ok(token.verify(issuer, keys, app.now()).map(|person| (issuer, person)))
}

/// Whose account the token opens, once: an active practitioner's who is linked already, never a patient's or a super
/// admin's. Who has to prove a second factor here has proved one there.
async fn permitted(
    app: &App,
    issuer: &TrustedIssuer,
    person: &Person,
) -> Result<Result<UserId, account::Barred>, Failure> {
    let store = app.store().await?;
    let attempt = store.begin_token_exchange(&person.id, person.lapses_at, &issuer.issuer, &person.name).await?;
    let user = match attempt {
        SsoAttempt::Replayed => Err((RefusedBy::Layer(Layer::Token), "replayed")),
        SsoAttempt::Fresh(None) => Err((RefusedBy::NotFound, "no_account")),
        SsoAttempt::Fresh(Some(account)) => account::vouched_for(account),
    };
    let Ok(user) = user else { return Ok(user) };
    let needs_factor = match store.account_of(user).await? {
        Some(account) => account::needs_second_step(app, &account),
        None => true,
    };
    Ok(if needs_factor && !person.has_second_factor {
        Err((RefusedBy::Layer(Layer::Token), "second_factor"))
    } else {
        Ok(user)
    })
}

/// Records a refusal and why: the failure to answer with.
async fn refused(app: &App, context: &Context, reason: &str, error: OAuthError) -> Failure {
    let recorded = async {
        let store = app.store().await?;
        Ok::<_, Failure>(store.record_refused_message(context, RefusedBy::Layer(Layer::Token), reason).await?)
    };
    match recorded.await {
        Ok(()) => error.into(),
        Err(failure) => failure,
    }
}
