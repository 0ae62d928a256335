//! Clients that call an endpoint of OAuth themselves, and have to prove who they are.

use crate::{App, Failure, Request};
use audit::{Context, RefusedBy, Target};
use authz::{ClientId, Layer};
use oauth::{
    Client, ErrorCode, KeySet, OAuthError, Params, client_auth::ClientAuthentication, discovery::Endpoints,
    dpop::Proof, resource::Audience,
};
use std::sync::Arc;
use store::Store;

/// The client, if the sender proves to be it. A refusal is recorded.
pub async fn authenticate(app: &App, context: &Context, sender: &ClientAuthentication) -> Result<Client, Failure> {
    let store = app.store().await?;
    match proved(app, store, sender).await? {
        Ok(client) => Ok(client),
        Err(error) => {
            store.record_refusal(context, &Target::nothing(), RefusedBy::Layer(Layer::Token)).await?;
            Err(error.into())
        }
    }
}

/// Records a request that is refused for what it says, with the client that it proves to come from, and which error it was: the
/// failure to answer with. Who cannot be known is nobody.
pub async fn refused(
    app: &App,
    context: &mut Context,
    authorization: Option<&str>,
    params: &Params,
    error: OAuthError,
) -> Failure {
    let recorded = async {
        let store = app.store().await?;
        if context.client_id.is_none()
            && let Ok(sender) = ClientAuthentication::parse(authorization, params)
            && let Ok(client) = proved(app, store, &sender).await?
        {
            context.client_id = Some(ClientId(client.id));
        }
        let refused_by = match error.code {
            ErrorCode::InvalidClient => RefusedBy::Layer(Layer::Token),
            _ => RefusedBy::Invalid,
        };
        Ok::<_, Failure>(store.record_refused_message(context, refused_by, error.code.as_str()).await?)
    };
    match recorded.await {
        Ok(()) => error.into(),
        Err(failure) => failure,
    }
}

/// The proof of possession that came with the request, if one did, to whose key what is issued is bound (RFC 9449 sections 5
/// and 10.1). One that is not good is recorded.
pub async fn proof(app: &App, request: &Request, context: &Context) -> Result<Option<Proof>, Failure> {
    match request.proof(app, None).await {
        Err(Failure::Unproved) => {
            let store = app.store().await?;
            store.record_refusal(context, &Target::nothing(), RefusedBy::Layer(Layer::Token)).await?;
            let text = "The proof of possession is not good.";
            Err(OAuthError::new(ErrorCode::InvalidDpopProof, text).into())
        }
        other => other,
    }
}

/// The proof to whose key what is issued now is bound. Where the deployment issues nothing else, there has to be one (OWASP
/// ASVS 5.0 section 10.4.14).
pub async fn binding(app: &App, request: &Request, context: &Context) -> Result<Option<Proof>, Failure> {
    let proof = proof(app, request, context).await?;
    if proof.is_none() && app.settings.requires_bound_tokens {
        app.store().await?.record_refusal(context, &Target::nothing(), RefusedBy::Layer(Layer::Token)).await?;
        let text = "A proof of possession (DPoP) is needed here.";
        return Err(OAuthError::new(ErrorCode::InvalidDpopProof, text).into());
    }
    Ok(proof)
}

/// Whether everything that a token is asked for exists: of this server, or a resource server that is registered (RFC 8707
/// section 2).
pub async fn knows(app: &App, audience: &Audience) -> Result<bool, Failure> {
    let elsewhere: Vec<&str> = audience.elsewhere(&app.settings.site_url).collect();
    Ok(elsewhere.is_empty() || app.store().await?.are_resources(&elsewhere).await?)
}

async fn proved(
    app: &App,
    store: &Store,
    sender: &ClientAuthentication,
) -> Result<Result<Client, OAuthError>, Failure> {
    let Some(client) = store.client(sender.client_id()).await? else {
        return Ok(Err(OAuthError::invalid_client()));
    };
    // OWASP ASVS 5.0 section 10.4.16.
    if app.settings.requires_client_keys && !client.has_key() {
        return Ok(Err(OAuthError::invalid_client()));
    }
    let fetched = match sender.needs_keys(&client) {
        Some((url, kid)) => keys_at(app, url, kid).await,
        None => None,
    };
    let endpoints = Endpoints::new(&app.settings.site_url);
    match sender.verify(&client, fetched.as_deref(), &endpoints, app.now()) {
        Err(error) => Ok(Err(error)),
        Ok(None) => Ok(Ok(client)),
        // RFC 7523 3 (7): an assertion that comes again is somebody's copy.
        Ok(Some(used)) if store.use_assertion(client.id, &used).await? => Ok(Ok(client)),
        Ok(Some(_)) => Ok(Err(OAuthError::invalid_client())),
    }
}

/// The keys at a client's URL. None when they cannot be had: then nothing is proved.
async fn keys_at(app: &App, url: &str, kid: Option<&str>) -> Option<Arc<KeySet>> {
    match app.key_sets().get(url, kid).await {
        Ok(keys) => Some(keys),
        Err(error) => {
            tracing::warn!(%error, "the keys of a client cannot be had");
            None
        }
    }
}
