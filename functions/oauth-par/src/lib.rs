//! `POST /o/par/`: a client pushes its authorization request and is given a reference to it (RFC 9126). Public: the client
//! proves who it is in the request, as at the token endpoint; a public client names itself.

use audit::Action;
use authz::ClientId;
use http::{StatusCode, header};
use oauth::{
    Client, ClientKind, Params, Secret, TokenHash,
    authorize::{AuthorizeRequest, PageError},
    client_auth::ClientAuthentication,
    dpop::Proof,
    error::OAuthError,
    pushed,
    resource::Audience,
};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, client, json};
use serde::Serialize;
use store::{Bound, NewPushedRequest, Push};

/// The function.
pub const FUNCTION: Function =
    Function::new("oauth-par", Protocol::OAuth, Needs::Database, |app, request| Box::pin(handle(app, request)));

/// The answer of RFC 9126 2.2.
#[derive(Serialize)]
struct Answer {
    request_uri: String,
    expires_in: i64,
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    // RFC 9126 2.3: 413 for a request that is too large.
    let params = Params::from_pairs(request.form()?).map_err(|_| Failure::TooLarge)?;
    let mut context = request.audit(None, Action::Create, "Authorization");
    let authorization = request.header(header::AUTHORIZATION);
    // What is no authorization request is refused before anybody is asked who they are.
    let sender = params
        .require("response_type", "The response_type is missing.")
        .and_then(|_| ClientAuthentication::parse(authorization, &params));
    let sender = match sender {
        Ok(sender) => sender,
        Err(error) => return Err(client::refused(app, &mut context, authorization, &params, error).await),
    };
    let client = client::authenticate(app, &context, &sender).await?;
    context.client_id = Some(ClientId(client.id));
    let proof = client::proof(app, request, &context).await?;
    let parameters = match judged(app, &params, &client, proof.as_ref()).await? {
        Ok(parameters) => parameters,
        Err(error) => return Err(client::refused(app, &mut context, authorization, &params, error).await),
    };
    let reference = Secret::generate()?;
    let new = NewPushedRequest {
        reference: reference.hash(),
        client: client.id,
        parameters: &parameters,
        expires_at: app.now() + pushed::WAITS,
        // Anybody can push as a public client.
        bound: matches!(client.kind, ClientKind::Public).then(|| Bound {
            source: TokenHash::of(&format!("{}\n{}", client.id, request.network())),
            most: pushed::MOST_WAITING,
        }),
    };
    if let Push::Wait(seconds) = app.store().await?.push_request(&context, &new).await? {
        return Err(Failure::TooManyRequests(seconds));
    }
    let answer = Answer { request_uri: pushed::request_uri(&reference), expires_in: pushed::WAITS.as_secs() };
    Ok(json(StatusCode::CREATED, &answer)?)
}

/// The parameters to store. RFC 9126 2.1: the request is judged as the authorization endpoint would; every error is told to the
/// client (2.3).
async fn judged(
    app: &App,
    params: &Params,
    client: &Client,
    proof: Option<&Proof>,
) -> Result<Result<String, OAuthError>, Failure> {
    let authorization = AuthorizeRequest::pushing(params, client, proof)
        .and_then(|asked| asked.for_client(client).map_err(refusal))
        .and_then(|addressed| addressed.validate(client).map_err(|refusal| refusal.error));
    Ok(match authorization {
        Err(error) => Err(error),
        Ok(authorization) if client::knows(app, &authorization.audience).await? => Ok(authorization.parameters()),
        Ok(_) => Err(Audience::unknown()),
    })
}

/// What the authorization endpoint would show on a page.
const fn refusal(error: PageError) -> OAuthError {
    OAuthError::invalid_request(match error {
        PageError::NoRedirectUri => "The request names no redirect URI.",
        _ => "The redirect URI is not registered for the client.",
    })
}
