//! `GET /saml2/metadata/`: what an identity provider has to know of this service provider (SAML Metadata 2.4.4). Public.

use http::{HeaderValue, StatusCode, header};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, html};
use single_sign_on::{SingleSignOn, unusable};

/// The function. It needs the secrets, which it reads at the first request, and no database.
pub const FUNCTION: Function =
    Function::new("saml2-metadata", Protocol::Page, Needs::Nothing, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, _: &Request) -> Result<Response, Failure> {
    let sign_on = SingleSignOn::of(app)?;
    let metadata = sign_on.provider(app).await?.metadata().map_err(unusable)?;
    let mut response = html(StatusCode::OK, metadata);
    let headers = response.headers_mut();
    // SAML Metadata, appendix A.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/samlmetadata+xml"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(response)
}
