//! Which other origins may read an answer in a browser (Fetch standard, "CORS protocol",
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>). The same for both hosts.
//!
//! Documents that are the same for everybody may be read by any origin. What is asked with a token may be read by the
//! origins of registered clients, and by those of `CORS_ALLOWED_ORIGINS`. Nothing else may be read. Credentials, that is
//! cookies, are never allowed: no answer has `Access-Control-Allow-Credentials`.

use crate::{App, Request, Response, no_content};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use oauth::redirect;

/// Who may read the answers of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    /// The pages of this origin only.
    Nobody,
    /// Pages of any origin.
    Everybody,
    /// Pages of the origins of clients.
    Clients,
}

impl Sharing {
    /// What is not named here is not shared: pages, and introspection, which is for servers.
    fn of(path: &str) -> Self {
        let path = path.to_ascii_lowercase();
        let is_under =
            |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if ["/.well-known", "/o/.well-known", "/fhir/r5/.well-known", "/fhir/r5/metadata"].into_iter().any(is_under) {
            Self::Everybody
        } else if ["/fhir/r5", "/api/v1", "/o/token", "/o/userinfo", "/o/revoke_token", "/o/par"]
            .into_iter()
            .any(is_under)
        {
            Self::Clients
        } else {
            Self::Nobody
        }
    }
}

/// What scripts may read of an answer besides its body.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "dpop-nonce, etag, idempotency-replayed, last-modified, location, retry-after, www-authenticate, x-request-id",
);

/// What scripts may send.
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "accept, authorization, content-type, dpop, idempotency-key, if-match, if-none-exist, prefer, x-jhe-reason",
);

/// How long a browser may remember that, in seconds.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

/// Says on an answer which origin may read it.
pub(crate) async fn share(app: &App, request: &Request, response: &mut Response) {
    let headers = response.headers_mut();
    match Sharing::of(request.path()) {
        Sharing::Nobody => {}
        Sharing::Everybody => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        Sharing::Clients => {
            // A cache must not give one origin what was allowed to another.
            headers.append(header::VARY, HeaderValue::from_static("origin"));
            if let Some(origin) = request.header(header::ORIGIN)
                // Boxed, as a part of every answer, it would make the future of every host too deep.
                && Box::pin(app.is_client_origin(origin)).await
            {
                allow(headers, origin);
            }
        }
    }
}

fn allow(headers: &mut HeaderMap, origin: &str) {
    if let Ok(origin) = HeaderValue::from_str(origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// The answer to `OPTIONS`: what a browser asks before it sends a request that a form could not. Which origin may is said
/// on this answer as on any other.
#[must_use]
pub fn preflight(request: &Request) -> Response {
    let methods = match Sharing::of(request.path()) {
        Sharing::Nobody => return no_content(),
        Sharing::Everybody => "GET",
        Sharing::Clients => "GET, POST, PUT, PATCH, DELETE",
    };
    let mut response = no_content();
    let headers: [(HeaderName, HeaderValue); 3] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods)),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED),
        (header::ACCESS_CONTROL_MAX_AGE, REMEMBERED),
    ];
    response.headers_mut().extend(headers);
    response
}

/// The origins of `CORS_ALLOWED_ORIGINS`, separated by spaces or commas. None when one of them is not an origin: `*` is not.
pub(crate) fn origins(text: &str) -> Option<Vec<String>> {
    text.split([' ', ','])
        .filter(|one| !one.is_empty())
        .map(|one| redirect::is_origin(one).then(|| one.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shared_with_those_who_need_it() {
        for (path, sharing) in [
            ("/o/.well-known/openid-configuration", Sharing::Everybody),
            ("/o/.well-known/jwks.json", Sharing::Everybody),
            ("/.well-known/oauth-authorization-server", Sharing::Everybody),
            ("/FHIR/R5/.well-known/smart-configuration", Sharing::Everybody),
            ("/fhir/r5/metadata", Sharing::Everybody),
            ("/o/token/", Sharing::Clients),
            ("/o/userinfo/", Sharing::Clients),
            ("/o/revoke_token/", Sharing::Clients),
            ("/FHIR/R5", Sharing::Clients),
            ("/FHIR/R5/Observation", Sharing::Clients),
            ("/api/v1/patients", Sharing::Clients),
            ("/o/authorize/", Sharing::Nobody),
            ("/o/logout/", Sharing::Nobody),
            ("/o/introspect/", Sharing::Nobody),
            ("/o/token-exchange", Sharing::Nobody),
            ("/accounts/login/", Sharing::Nobody),
            ("/saml2/acs/", Sharing::Nobody),
            ("/api/v10", Sharing::Nobody),
            ("/", Sharing::Nobody),
        ] {
            assert_eq!(Sharing::of(path), sharing, "{path}");
        }
    }

    #[test]
    fn only_origins_are_allowed_by_setting() {
        assert_eq!(origins("").unwrap(), Vec::<String>::new());
        assert_eq!(
            origins("https://a.example, http://localhost:3000").unwrap(),
            ["https://a.example", "http://localhost:3000"]
        );
        for bad in ["*", "null", "https://a.example/", "https://*.example", "a.example", "https://a.example *"] {
            assert_eq!(origins(bad), None, "{bad}");
        }
    }
}
