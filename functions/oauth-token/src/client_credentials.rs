//! The client credentials grant (RFC 6749 section 4.4): the client acts as the practitioner's account that it is bound to.

use audit::{Context, RefusedBy, Target};
use authz::Layer;
use http::StatusCode;
use oauth::{
    Client, OAuthError, Secret, dpop::Proof, grant, resource::Audience, token_request::ServiceRequest,
    token_response::TokenResponse,
};
use runtime::{App, Failure, Response, client, json};
use store::{NewAccess, Store};

/// An access token for the client, which is authenticated. No refresh token (RFC 6749 section 4.4.3) and no `id_token`:
/// nobody signed in.
pub(crate) async fn issue(
    app: &App,
    store: &Store,
    context: &Context,
    client: &Client,
    asked: &ServiceRequest,
    proof: Option<&Proof>,
) -> Result<Response, Failure> {
    if !client::knows(app, &asked.audience).await? {
        return Err(refused(store, context, Audience::unknown()).await);
    }
    let scope = match grant::client_credentials(client, asked.scope.as_ref()) {
        Ok(scope) => scope,
        Err(error) => return Err(refused(store, context, error.answer()).await),
    };
    let access = Secret::generate()?;
    let lifetime = app.settings.lifetimes.access;
    let new = NewAccess {
        client: client.id,
        person: None,
        scope: &scope,
        audience: &asked.audience,
        hash: access.hash(),
        expires_at: app.now() + lifetime,
        key: proof.map(|proof| &proof.key),
    };
    if !store.issue_to_client(context, &new).await? {
        return Err(refused(store, context, OAuthError::invalid_grant()).await);
    }
    let answer = TokenResponse {
        access_token: access,
        is_bound: proof.is_some(),
        expires_in: lifetime.as_secs(),
        scope,
        refresh_token: None,
        patient: None,
        issued_token_type: None,
        id_token: None,
    };
    Ok(json(StatusCode::OK, &answer)?)
}

/// Records a refusal: the failure to answer with.
async fn refused(store: &Store, context: &Context, error: OAuthError) -> Failure {
    match store.record_refusal(context, &Target::nothing(), RefusedBy::Layer(Layer::Token)).await {
        Ok(()) => error.into(),
        Err(failure) => failure.into(),
    }
}
