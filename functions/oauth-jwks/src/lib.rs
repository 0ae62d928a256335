//! `GET /o/.well-known/jwks.json`: the public halves of the keys that sign `id_token`s (RFC 7517 section 5). Public.

use http::{HeaderValue, StatusCode, header};
use oauth::ring::JWKS_MAX_AGE;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json};

/// The function. It reads the keys at the first request, and needs no database.
pub const FUNCTION: Function =
    Function::new("oauth-jwks", Protocol::OAuth, Needs::Nothing, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, _: &Request) -> Result<Response, Failure> {
    let mut response = json(StatusCode::OK, &signing_keys::keys(app).await?.jwks())?;
    // Rotations count on nobody keeping it longer.
    let cache = HeaderValue::try_from(format!("public, max-age={}", JWKS_MAX_AGE.as_secs()));
    response.headers_mut().extend(cache.map(|value| (header::CACHE_CONTROL, value)));
    Ok(response)
}
