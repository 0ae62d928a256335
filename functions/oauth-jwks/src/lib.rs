//! `GET /o/.well-known/jwks.json`: the public half of the key that signs `id_token`s (RFC 7517 section 5). Public.

use http::{HeaderValue, StatusCode, header};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json};

/// The function. It needs the secrets, which it reads at the first request, and no database.
pub const FUNCTION: Function =
    Function::new("oauth-jwks", Protocol::OAuth, Needs::Nothing, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, _: &Request) -> Result<Response, Failure> {
    let mut response = json(StatusCode::OK, &app.signing_key().await?.jwks())?;
    // Short, so that a new key is found soon.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(response)
}
