//! `POST /o/revoke_token/`: a client ends a token of its own (RFC 7009). Public: the client proves who it is in the request.

use audit::{Action, RefusedBy, Target};
use authz::ClientId;
use bytes::Bytes;
use http::{StatusCode, header};
use oauth::{ErrorCode, OAuthError, Params, introspection::TokenQuestion};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, client};
use store::Revocation;

/// The function.
pub const FUNCTION: Function =
    Function::new("oauth-revoke", Protocol::OAuth, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let params = Params::from_pairs(request.form()?)?;
    let mut context = request.audit(None, Action::Delete, "Token");
    let authorization = request.header(header::AUTHORIZATION);
    let asked = match TokenQuestion::parse(authorization, &params) {
        Ok(asked) => asked,
        Err(error) => return Err(client::refused(app, &mut context, authorization, &params, error).await),
    };
    let client = client::authenticate(app, &context, &asked.client).await?;
    context.client_id = Some(ClientId(client.id));
    let store = app.store().await?;
    match store.revoke_token(&context, client.id, &asked.token.hash()).await? {
        Revocation::Revoked => {}
        // RFC 7009 2.1: refused, and the client is told.
        Revocation::NotOwn => {
            return Err(OAuthError::new(ErrorCode::InvalidGrant, "The token was issued to another client.").into());
        }
        // RFC 7009 2.2: the client's purpose is reached already.
        Revocation::Unknown => store.record_refusal(&context, &Target::nothing(), RefusedBy::NotFound).await?,
    }
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}
