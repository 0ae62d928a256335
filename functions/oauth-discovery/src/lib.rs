//! The documents by which clients find the endpoints. Public.
//!
//! - `GET /o/.well-known/openid-configuration` (OpenID Connect Discovery 1.0 section 4)
//! - `GET /o/.well-known/oauth-authorization-server` and `GET /.well-known/oauth-authorization-server` (RFC 8414
//!   section 3)
//! - `GET /o/.well-known/oauth-protected-resource` and `GET /.well-known/oauth-protected-resource` (RFC 9728 section 3)
//! - `GET /FHIR/R5/.well-known/smart-configuration`
//!   (<https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html>)

use http::{HeaderValue, StatusCode, header};
use oauth::discovery::{Endpoints, Offers, OpenIdConfiguration, ProtectedResource, ServerMetadata, SmartConfiguration};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json};

/// The function.
pub const FUNCTION: Function = Function::new("oauth-discovery", Protocol::OAuth, Needs::Nothing, |app, request| {
    Box::pin(async { document(app, request) })
});

fn document(app: &App, request: &Request) -> Result<Response, Failure> {
    let endpoints = Endpoints::new(&app.settings.site_url);
    let settings = &app.settings;
    let offers =
        Offers { pushed_requests_only: settings.requires_pushed_requests, token_exchange: settings.exchanges_tokens };
    let mut response = match Document::at(request.path()).ok_or(Failure::NotFound)? {
        Document::OpenId => json(StatusCode::OK, &OpenIdConfiguration::new(&endpoints, offers))?,
        Document::Server => json(StatusCode::OK, &ServerMetadata::new(&endpoints, offers))?,
        Document::Smart => json(StatusCode::OK, &SmartConfiguration::new(&endpoints, offers))?,
        Document::Resource => json(StatusCode::OK, &ProtectedResource::new(&endpoints))?,
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(response)
}

#[derive(Debug, PartialEq, Eq)]
enum Document {
    OpenId,
    Server,
    Resource,
    Smart,
}

impl Document {
    fn at(path: &str) -> Option<Self> {
        match path.trim_end_matches('/').rsplit('/').next()? {
            "openid-configuration" => Some(Self::OpenId),
            "oauth-authorization-server" => Some(Self::Server),
            "oauth-protected-resource" => Some(Self::Resource),
            "smart-configuration" => Some(Self::Smart),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_document() {
        for (path, document) in [
            ("/o/.well-known/openid-configuration", Some(Document::OpenId)),
            ("/o/.well-known/openid-configuration/", Some(Document::OpenId)),
            ("/o/.well-known/oauth-authorization-server", Some(Document::Server)),
            ("/.well-known/oauth-authorization-server", Some(Document::Server)),
            ("/o/.well-known/oauth-protected-resource", Some(Document::Resource)),
            ("/.well-known/oauth-protected-resource", Some(Document::Resource)),
            ("/FHIR/R5/.well-known/smart-configuration", Some(Document::Smart)),
            ("/fhir/r5/.well-known/smart-configuration", Some(Document::Smart)),
            ("/", None),
        ] {
            assert_eq!(Document::at(path), document, "{path}");
        }
    }
}
