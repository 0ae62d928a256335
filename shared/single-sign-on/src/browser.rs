//! The cookie of a request that waits for the identity provider's answer.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, header};
use jiff::Timestamp;
use runtime::{App, Failure, Request, Response, Settings};
use saml::Pending;

/// What was asked of the identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To sign somebody in.
    SignIn,
    /// To sign somebody out.
    SignOut,
}

impl Purpose {
    /// The name under which the cookie is signed: one for signing out is no use for signing in.
    const fn label(self) -> &'static str {
        match self {
            Self::SignIn => "saml2-login",
            Self::SignOut => "saml2-logout",
        }
    }

    /// The cookie. The prefix keeps it to this host, to TLS and to the path `/` (RFC 6265bis section 4.1.3.2).
    fn cookie(self, settings: &Settings) -> &'static str {
        match (self, settings.is_https()) {
            (Self::SignIn, true) => "__Host-jhe_saml_login",
            (Self::SignIn, false) => "jhe_saml_login",
            (Self::SignOut, true) => "__Host-jhe_saml_logout",
            (Self::SignOut, false) => "jhe_saml_logout",
        }
    }
}

/// The request that waits in this browser, if one does and has not lapsed.
pub async fn pending(
    app: &App,
    request: &Request,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<Pending>, Failure> {
    let Some((encoded, token)) = request.cookie(purpose.cookie(&app.settings)).and_then(|value| value.split_once('.'))
    else {
        return Ok(None);
    };
    if !app.form_key().await?.verify(purpose.label(), encoded, token) {
        return Ok(None);
    }
    let text = URL_SAFE_NO_PAD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(text.and_then(|text| Pending::from_text(&text, now)))
}

/// Lets a request wait in the browser.
pub async fn set_pending(
    app: &App,
    response: &mut Response,
    purpose: Purpose,
    pending: &Pending,
) -> Result<(), Failure> {
    let encoded = URL_SAFE_NO_PAD.encode(pending.to_text());
    let token = app.form_key().await?.issue(purpose.label(), &encoded)?;
    set(&app.settings, response, purpose, &format!("{encoded}.{token}"), Pending::lifetime_seconds());
    Ok(())
}

/// Forgets what waited: an answer counts once.
pub fn clear_pending(settings: &Settings, response: &mut Response, purpose: Purpose) {
    set(settings, response, purpose, "", 0);
}

/// The answer comes in a form that the identity provider's page sends, so the cookie has to come along from there:
/// `SameSite=None`, which browsers take only with TLS. Without TLS everything is on this machine, which is one site.
fn set(settings: &Settings, response: &mut Response, purpose: Purpose, value: &str, seconds: i64) {
    let site = if settings.is_https() { "None; Secure" } else { "Lax" };
    let name = purpose.cookie(settings);
    // Our names and values are plain ASCII, so this never fails.
    if let Ok(mut cookie) =
        HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite={site}; Max-Age={seconds}"))
    {
        cookie.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use runtime::RequestParts;
    use std::collections::HashMap;

    fn app(key: &'static str) -> App {
        let lookup = move |name: &str| match name {
            "SITE_URL" => Some("https://a.example".to_owned()),
            "LINK_KEY" | "FORM_KEY" | "FACTOR_KEY" => Some(key.to_owned()),
            // No token is signed with it.
            _ => None,
        };
        App::new(lookup, None, 1).unwrap()
    }

    fn request(cookie: &str) -> Request {
        Request::from(RequestParts {
            method: http::Method::POST,
            path: "/".to_owned(),
            variables: HashMap::new(),
            query: String::new(),
            headers: [(header::COOKIE, HeaderValue::from_str(cookie).unwrap())].into_iter().collect(),
            body: Bytes::new(),
            source: None,
            id: "r".to_owned(),
        })
    }

    #[tokio::test]
    async fn a_request_waits_in_the_browser_that_made_it_and_for_its_purpose() {
        let ours = app("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        let other = app("MTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        let now: Timestamp = "2026-11-22T01:00:00Z".parse().unwrap();
        let waiting = Pending::new("random", "/next", false, now);
        let mut response = Response::new(Bytes::new());
        set_pending(&ours, &mut response, Purpose::SignIn, &waiting).await.unwrap();
        let cookie = response.headers().get(header::SET_COOKIE).unwrap().to_str().unwrap();
        assert!(cookie.starts_with("__Host-jhe_saml_login="), "{cookie}");
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=None; Secure; Max-Age=600"), "{cookie}");
        let pair = cookie.split(';').next().unwrap();
        let found =
            |app, cookie: String, purpose| async move { pending(app, &request(&cookie), purpose, now).await.unwrap() };
        assert_eq!(found(&ours, pair.to_owned(), Purpose::SignIn).await.as_ref(), Some(&waiting));
        assert_eq!(found(&other, pair.to_owned(), Purpose::SignIn).await, None, "another key");
        assert_eq!(found(&ours, pair.replace("login", "logout"), Purpose::SignOut).await, None, "another purpose");
        let changed = pair.replacen('=', "=A", 1);
        assert_eq!(found(&ours, changed, Purpose::SignIn).await, None, "another content");
        assert_eq!(found(&ours, "a=b".to_owned(), Purpose::SignIn).await, None);
    }
}
