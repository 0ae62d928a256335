//! Responses.

use crate::{Protocol, Settings, pages};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Display;

/// A response of a function.
pub type Response = http::Response<Bytes>;

/// A response with a JSON text.
#[must_use]
pub fn text_json(status: StatusCode, text: String) -> Response {
    let mut response = http::Response::new(Bytes::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A response with a value as JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, serde_json::Error> {
    Ok(text_json(status, serde_json::to_string(value)?))
}

/// A response without content.
#[must_use]
pub fn no_content() -> Response {
    empty(StatusCode::NO_CONTENT)
}

/// A response with nothing but its status.
#[must_use]
pub fn empty(status: StatusCode) -> Response {
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// A page.
#[must_use]
pub fn html(status: StatusCode, text: String) -> Response {
    let mut response = http::Response::new(Bytes::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// A redirection to another URL (302). A location that cannot be a header's value becomes the site's root.
#[must_use]
pub fn redirect(location: &str) -> Response {
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = StatusCode::FOUND;
    let location = HeaderValue::from_str(location).unwrap_or_else(|_| HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// A response with one FHIR resource in its first version.
#[must_use]
pub fn read_response(status: StatusCode, resource: String, last_updated: Timestamp) -> Response {
    version_response(status, resource, 1, last_updated)
}

/// A response with one FHIR resource that shows a record: its version is the time of the record's last change.
#[must_use]
pub fn record_response(status: StatusCode, resource: String, last_updated: Timestamp) -> Response {
    version_response(status, resource, fhir::resource::version(last_updated), last_updated)
}

/// A response with one FHIR resource: its version and when it changed are headers too
/// (<https://hl7.org/fhir/R5/http.html#read>).
#[must_use]
pub fn version_response(
    status: StatusCode,
    resource: String,
    version: impl Display,
    last_updated: Timestamp,
) -> Response {
    let mut response = text_json(status, resource);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&format!("W/\"{version}\"")) {
        headers.insert(header::ETAG, value);
    }
    if let Ok(value) = HeaderValue::from_str(&http_date(last_updated)) {
        headers.insert(header::LAST_MODIFIED, value);
    }
    response
}

/// The site and all below its host are reached by TLS alone for two years (RFC 6797). Not for the lists that browsers come
/// with: that is for who owns the domain.
const TLS_ALONE: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");

/// Gives a response the headers that each carries, whichever function or host makes it.
pub fn protect(settings: &Settings, protocol: Protocol, request_id: &str, response: &mut Response) {
    let status = response.status();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) || status == StatusCode::UNAUTHORIZED {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    // RFC 6797 section 7.2: it means nothing where the site is reached in clear text.
    if settings.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, TLS_ALONE);
    }
    if protocol == Protocol::Page {
        headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(pages::POLICY));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
}

/// A time as HTTP writes it (RFC 9110 section 5.6.7).
fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_has_them() {
        let time: Timestamp = "1994-11-06T08:49:37.5Z".parse().unwrap();
        assert_eq!(http_date(time), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn a_location_that_is_no_header_value_leads_nowhere_else() {
        let response = redirect("/x\r\nset-cookie: a=b");
        assert_eq!(response.headers().get(header::LOCATION).unwrap(), "/");
        assert!(response.headers().get(header::SET_COOKIE).is_none());
    }
}
