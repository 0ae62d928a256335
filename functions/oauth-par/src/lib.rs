//! `POST /o/par/`: a client pushes its authorization request and is given a reference to it (RFC 9126). Public: the client
//! proves who it is in the request, as at the token endpoint; a public client names itself.

use audit::Action;
use authz::ClientId;
use http::{StatusCode, header};
use oauth::{
    Params, Secret,
    authorize::{AuthorizeRequest, PageError},
    client_auth::ClientAuthentication,
    error::OAuthError,
    pushed,
    resource::Audience,
};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, client, json};
use serde::Serialize;
use store::NewPushedRequest;

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
    // What is no authorization request is refused before anybody is asked who they are.
    params.require("response_type", "The response_type is missing.")?;
    let sender = ClientAuthentication::parse(request.header(header::AUTHORIZATION), &params)?;
    let mut context = request.audit(None, Action::Create, "Authorization");
    let client = client::authenticate(app, &context, &sender).await?;
    context.client_id = Some(ClientId(client.id));
    let proof = client::proof(app, request, &context).await?;
    let asked = AuthorizeRequest::pushing(&params, &client, proof.as_ref())?;
    // RFC 9126 2.1: the request is judged as the authorization endpoint would; every error is told to the client (2.3).
    let addressed = asked.for_client(&client).map_err(refusal)?;
    let authorization = addressed.validate(&client).map_err(|refusal| refusal.error)?;
    if !client::knows(app, &authorization.audience).await? {
        return Err(Audience::unknown().into());
    }
    let reference = Secret::generate()?;
    let new = NewPushedRequest {
        reference: reference.hash(),
        client: client.id,
        parameters: &authorization.parameters(),
        expires_at: app.now() + pushed::WAITS,
    };
    app.store().await?.push_request(&context, &new).await?;
    let answer = Answer { request_uri: pushed::request_uri(&reference), expires_in: pushed::WAITS.as_secs() };
    Ok(json(StatusCode::CREATED, &answer)?)
}

/// What the authorization endpoint would show on a page.
const fn refusal(error: PageError) -> OAuthError {
    OAuthError::invalid_request(match error {
        PageError::NoRedirectUri => "The request names no redirect URI.",
        _ => "The redirect URI is not registered for the client.",
    })
}
