//! `GET /accounts/passkey/script.js`: the script of the pages that ask the browser for a passkey. Public.

use bytes::Bytes;
use http::{HeaderValue, header};
use runtime::{Function, Needs, Protocol, Response};

/// The function.
pub const FUNCTION: Function = Function::new("accounts-passkey-script", Protocol::Page, Needs::Nothing, |_, _| {
    Box::pin(std::future::ready(Ok(script())))
});

/// The pages name the version, so a browser that kept the script of an older one does not use it.
fn script() -> Response {
    let mut response = Response::new(Bytes::from_static(include_bytes!("passkey.js")));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"));
    response
}
