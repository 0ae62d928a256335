//! A request, the same from both hosts.

use crate::{App, Failure, MAX_BODY, browser, members};
use audit::{Action, Context, RefusedBy, Session, Target};
use authz::{Actor, Layer};
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use oauth::Secret;
use percent_encoding::percent_decode;
use serde_json::Value;
use std::{collections::HashMap, net::IpAddr, sync::OnceLock};
use store::Authenticated;

/// What a host knows of a request.
#[derive(Clone, Debug)]
pub struct RequestParts {
    /// The method.
    pub method: Method,
    /// The path as sent, without the query.
    pub path: String,
    /// The values of the route's variables, percent-decoded.
    pub variables: HashMap<String, String>,
    /// The query as sent.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The caller's address.
    pub source: Option<IpAddr>,
    /// The request's id.
    pub id: String,
}

/// A request to a function.
#[derive(Clone, Debug)]
pub struct Request {
    parts: RequestParts,
    source: Option<String>,
    caller: OnceLock<Authenticated>,
}

impl From<RequestParts> for Request {
    fn from(parts: RequestParts) -> Self {
        let source = parts.source.map(|address| address.to_string());
        Self { parts, source, caller: OnceLock::new() }
    }
}

impl Request {
    /// The caller's network, as far as one caller can choose within it: an IPv4 address, or the first 64 bits of an IPv6
    /// address (RFC 6177).
    #[must_use]
    pub fn network(&self) -> String {
        match self.parts.source.map(|address| address.to_canonical()) {
            None => String::new(),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => format!("{:x}", u128::from(address) >> 64),
        }
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The path as sent, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.parts.path
    }

    /// The request's id: in the response, in the logs and in the audit.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.parts.id
    }

    /// A header's value, if it is text.
    #[must_use]
    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A cookie's value. A name that is sent twice counts as absent.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let mut found = self
            .parts
            .headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value);
        match (found.next(), found.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }

    /// The decoded pairs of the query, which must be text.
    pub fn query(&self) -> Result<Vec<(String, String)>, Failure> {
        pairs(self.parts.query.as_bytes())
    }

    /// The query as sent.
    #[must_use]
    pub fn raw_query(&self) -> &str {
        &self.parts.query
    }

    /// A variable of the route.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.parts.variables.get(name).map(String::as_str)
    }

    /// A variable of the route as an id, written as the API writes it. What is no id names nothing: not found.
    pub fn id_variable<T: std::str::FromStr>(&self, name: &str) -> Result<T, Failure> {
        self.variable(name)
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()) && (*text == "0" || !text.starts_with('0')))
            .and_then(|text| text.parse().ok())
            .ok_or(Failure::NotFound)
    }

    /// The body as sent.
    pub fn body(&self) -> Result<&[u8], Failure> {
        if self.parts.body.len() > MAX_BODY { Err(Failure::TooLarge) } else { Ok(&self.parts.body) }
    }

    /// The body as JSON, of type `application/json` or `application/fhir+json`.
    /// No object in it, at any depth, names a member twice: readers of the same text could see different values.
    pub fn json(&self) -> Result<Value, Failure> {
        match self.media_type().as_deref() {
            None | Some("application/json" | "application/fhir+json") => {}
            Some(_) => return Err(Failure::UnsupportedMediaType),
        }
        // The error's text can repeat the input; only its place is told.
        let invalid = |error: serde_json::Error| {
            let what = match error.classify() {
                serde_json::error::Category::Data => "The JSON has an object that names a member twice",
                _ => "The body is not valid JSON",
            };
            Failure::Invalid(format!("{what} (line {}, column {}).", error.line(), error.column()))
        };
        let body = self.body()?;
        members::each_once(body).map_err(invalid)?;
        serde_json::from_slice(body).map_err(invalid)
    }

    /// The decoded pairs of a form body (`application/x-www-form-urlencoded`).
    pub fn form(&self) -> Result<Vec<(String, String)>, Failure> {
        match self.media_type().as_deref() {
            None | Some("application/x-www-form-urlencoded") => pairs(self.body()?),
            Some(_) => Err(Failure::UnsupportedMediaType),
        }
    }

    /// The media type of the body, without parameters.
    #[must_use]
    pub fn media_type(&self) -> Option<String> {
        self.header(header::CONTENT_TYPE)
            .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    /// What the audit is told of this request.
    #[must_use]
    pub fn audit(&self, actor: Option<&Actor>, action: Action, resource_type: &'static str) -> Context {
        // A reason that cannot be kept is refused before anything is asked of the audit.
        let reason = self.reason().ok().flatten();
        let grant = self.caller.get().map(|caller| Session::of_grant(caller.grant));
        let session = grant.or_else(|| browser::named_session(self));
        Context::new(self.id(), self.source.as_deref(), actor, action, resource_type)
            .because(reason)
            .in_session(session)
    }

    /// Who asks, by the access token in the `Authorization` header (RFC 6750 section 2.1, RFC 9449 section 7.1), whatever the
    /// token may be used for: most routes ask [`Request::actor`] or [`Request::fhir_actor`] instead. A token in the URL or in
    /// a form is never looked at. A token that is not valid, for another resource (RFC 8707), or not proved to be the sender's,
    /// is recorded. The request counts against the caller's rate. The caller is looked up once: a proof is good for one look.
    pub async fn authenticated(&self, app: &App) -> Result<Authenticated, Failure> {
        if let Some(caller) = self.caller.get() {
            return Ok(caller.clone());
        }
        self.reason()?;
        let caller = self.holder(app).await?;
        // A query that is no text is refused by every route, whether it looks at it or not.
        self.query()?;
        app.rates().count(app, &caller.actor).await?;
        self.explained(app, &caller.actor).await?;
        Ok(self.caller.get_or_init(|| caller).clone())
    }

    /// Who asked, if that is known by now.
    pub(crate) fn known_caller(&self) -> Option<&Actor> {
        self.caller.get().map(|caller| &caller.actor)
    }

    /// Who holds the access token.
    async fn holder(&self, app: &App) -> Result<Authenticated, Failure> {
        let (scheme, token) = self.access_token().ok_or(Failure::Unauthenticated)?;
        let store = app.store().await?;
        let admins = app.settings.super_admins_need_factor;
        let failure = match store.authenticate(token.hash().as_bytes(), admins).await? {
            Some(caller) if !caller.audience.opens(self.path(), &app.settings.site_url) => Failure::Unauthenticated,
            Some(caller) if !caller.is_strong_enough => Failure::WeakSignIn,
            Some(caller) => match self.is_proved(app, scheme, &token, &caller).await {
                Ok(()) => return Ok(caller),
                Err(failure) => failure,
            },
            None => Failure::Unauthenticated,
        };
        let context = self.audit(None, Action::Execute, "Token");
        store.record_refusal(&context, &Target::nothing(), RefusedBy::Layer(Layer::Token)).await?;
        Err(failure)
    }

    /// A token that is bound to a key comes with a proof by that key; another comes as a bearer token. Neither may pass as the
    /// other (RFC 9449 sections 7.1 and 7.2).
    async fn is_proved(
        &self,
        app: &App,
        scheme: Scheme,
        token: &Secret,
        caller: &Authenticated,
    ) -> Result<(), Failure> {
        match (scheme, &caller.key) {
            // OWASP ASVS 5.0 section 10.3.5: a token of before the setting, too.
            (Scheme::Bearer, None) if app.settings.requires_bound_tokens => Err(Failure::Unauthenticated),
            (Scheme::Bearer, None) => Ok(()),
            (Scheme::Bearer, Some(_)) | (Scheme::Dpop, None) => Err(Failure::Unauthenticated),
            (Scheme::Dpop, Some(key)) => match Box::pin(self.proof(app, Some(token))).await? {
                Some(proof) if proof.key == *key => Ok(()),
                _ => Err(Failure::Unproved),
            },
        }
    }

    fn access_token(&self) -> Option<(Scheme, Secret)> {
        let mut values = self.parts.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Scheme::Bearer,
            "dpop" => Scheme::Dpop,
            _ => return None,
        };
        (!token.is_empty() && token.len() <= 256).then(|| (scheme, Secret::presented(token)))
    }

    /// The headers.
    pub(crate) const fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }
}

/// How an access token is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    /// RFC 6750 section 2.1.
    Bearer,
    /// RFC 9449 section 7.1.
    Dpop,
}

/// Pairs as `application/x-www-form-urlencoded` writes them (<https://url.spec.whatwg.org/#urlencoded-parsing>). What is not
/// UTF-8 is refused, under the name that it has or would have: it stands for nothing that anybody means.
fn pairs(encoded: &[u8]) -> Result<Vec<(String, String)>, Failure> {
    encoded
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let name = decoded(parts.next().unwrap_or_default());
            let value = decoded(parts.next().unwrap_or_default());
            match (String::from_utf8(name), String::from_utf8(value)) {
                (Ok(name), Ok(value)) => Ok((name, value)),
                (Ok(name), Err(_)) => Err(Failure::field(&name, NOT_TEXT)),
                (Err(name), _) => Err(Failure::field(&String::from_utf8_lossy(name.as_bytes()), NOT_TEXT)),
            }
        })
        .collect()
}

const NOT_TEXT: &str = "It is not valid UTF-8.";

fn decoded(encoded: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn request(headers: &[(header::HeaderName, &'static str)], body: &'static [u8]) -> Request {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        Request::from(RequestParts {
            method: Method::POST,
            path: "/".to_owned(),
            variables: HashMap::from([
                ("good".to_owned(), "40001".to_owned()),
                ("sign".to_owned(), "+5".to_owned()),
                ("huge".to_owned(), "99999999999999999999".to_owned()),
                ("word".to_owned(), "abc".to_owned()),
            ]),
            query: "access_token=secret&a=1".to_owned(),
            headers: map,
            body: Bytes::from_static(body),
            source: None,
            id: "r".to_owned(),
        })
    }

    #[test]
    fn a_token_is_taken_from_the_header_only_and_only_once() {
        let token = |headers: &[(header::HeaderName, &'static str)]| {
            request(headers, b"").access_token().map(|(scheme, token)| (scheme, token.expose().to_owned()))
        };
        assert_eq!(token(&[]), None);
        for (value, expected) in [
            ("Bearer abc", Some((Scheme::Bearer, "abc".to_owned()))),
            ("bearer abc", Some((Scheme::Bearer, "abc".to_owned()))),
            ("DPoP abc", Some((Scheme::Dpop, "abc".to_owned()))),
            ("Basic abc", None),
            ("Bearer ", None),
            ("Bearer", None),
        ] {
            assert_eq!(token(&[(header::AUTHORIZATION, value)]), expected, "{value}");
        }
        assert_eq!(token(&[(header::AUTHORIZATION, "Bearer abc"), (header::AUTHORIZATION, "Bearer def")]), None);
    }

    #[test]
    fn pairs_are_text_or_are_refused_by_name() {
        for (encoded, expected) in [
            ("", Ok(&[][..])),
            ("a=1&b=%C3%A9+x&&c", Ok(&[("a", "1"), ("b", "é x"), ("c", "")])),
            ("a=b=c&%=%zz&%EF%BF%BD=1", Ok(&[("a", "b=c"), ("%", "%zz"), ("\u{fffd}", "1")])),
            ("=&+=+", Ok(&[("", ""), (" ", " ")])),
            ("a=1&b=%ff", Err("b")),
            ("b=%C3", Err("b")),
            ("%ff=1", Err("\u{fffd}")),
        ] {
            let found = pairs(encoded.as_bytes());
            match (found, expected) {
                (Ok(found), Ok(expected)) => {
                    let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                    assert_eq!(found, expected, "{encoded}");
                }
                (Err(Failure::Fields(fields)), Err(name)) => {
                    assert!(fields.contains_key(name), "{encoded}: {fields:?}");
                }
                (found, _) => panic!("{encoded}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_network_is_what_one_caller_cannot_leave() {
        let network = |address: &str| {
            let mut request = request(&[], b"");
            request.parts.source = Some(address.parse().unwrap());
            request.network()
        };
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    }

    #[test]
    fn what_is_no_id_names_nothing() {
        let request = request(&[], b"");
        assert_eq!(request.id_variable::<i32>("good").ok(), Some(40001));
        for name in ["sign", "huge", "word", "absent"] {
            assert!(matches!(request.id_variable::<i32>(name), Err(Failure::NotFound)), "{name}");
        }
    }

    #[test]
    fn json_needs_its_media_type() {
        let json = (header::CONTENT_TYPE, "application/json; charset=utf-8");
        let fhir = (header::CONTENT_TYPE, "application/fhir+json");
        let xml = (header::CONTENT_TYPE, "application/xml");
        assert!(request(&[json], b"{}").json().is_ok());
        assert!(request(&[fhir], b"{}").json().is_ok());
        assert!(matches!(request(&[xml], b"{}").json(), Err(Failure::UnsupportedMediaType)));
    }

    #[test]
    fn an_error_in_json_does_not_repeat_the_input() {
        let failure = request(&[], b"{\"name\": \"secret").json().unwrap_err();
        let Failure::Invalid(text) = failure else { panic!("{failure:?}") };
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn a_cookie_sent_twice_counts_as_absent() {
        let once = (header::COOKIE, "a=1; b=2");
        assert_eq!(request(std::slice::from_ref(&once), b"").cookie("b"), Some("2"));
        assert_eq!(request(&[once, (header::COOKIE, "b=3")], b"").cookie("b"), None);
    }
}
