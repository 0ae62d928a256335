//! A person's browser: its session, its cookies, and the forms that it may send.

use crate::{App, Failure, Request, Response, Settings, html, redirect};
use audit::Session;
use http::{HeaderValue, StatusCode, header};
use oauth::{RandomError, Secret};
use store::LoginSession;

/// The cookie that holds half of the protection of forms against other sites. Scripts that sign in read it by this
/// name, so it has no prefix; [`check_form`] does not rely on the cookie alone.
const FORM_COOKIE: &str = "csrftoken";

/// The field that holds the other half.
pub const FORM_FIELD: &str = "csrfmiddlewaretoken";

/// The name of the forms by which somebody signs in, whichever page takes them.
pub const SIGN_IN_FORM: &str = "login";

/// What a form is told when it was not made for this browser.
const FOREIGN_FORM: &str = "This form has expired. Please go back, load the page again and send it once more.";

/// The name of the cookie that holds the session's token. The prefix keeps it to this host, to TLS and to the path `/`
/// (RFC 6265bis section 4.1.3.2).
fn session_cookie(settings: &Settings) -> &'static str {
    let [with_tls, without] = SESSION_COOKIES;
    if settings.is_https() { with_tls } else { without }
}

const SESSION_COOKIES: [&str; 2] = ["__Host-jhe_session", "jhe_session"];

/// A browser in which somebody signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// Who, and since when.
    pub session: LoginSession,
    /// The session's token, to which forms are bound.
    pub token: Secret,
}

/// The token in the session cookie, whatever it is worth.
#[must_use]
pub fn session_token(settings: &Settings, request: &Request) -> Option<Secret> {
    request
        .cookie(session_cookie(settings))
        .filter(|token| !token.is_empty() && token.len() <= 256)
        .map(Secret::presented)
}

/// The session that the browser says it has, for the audit.
pub(crate) fn named_session(request: &Request) -> Option<Session> {
    let token = SESSION_COOKIES.iter().find_map(|name| request.cookie(name)).filter(|token| is_random_token(token))?;
    Some(Session::of_browser(Secret::presented(token).hash().as_bytes()))
}

/// The name of the cookie that holds the token of an open second step.
fn challenge_cookie(settings: &Settings) -> &'static str {
    if settings.is_https() { "__Host-jhe_challenge" } else { "jhe_challenge" }
}

/// The token of the second step that is open in the browser, whatever it is worth.
#[must_use]
pub fn challenge_token(settings: &Settings, request: &Request) -> Option<Secret> {
    request.cookie(challenge_cookie(settings)).filter(|token| is_random_token(token)).map(Secret::presented)
}

/// Gives the browser the token of an open second step.
pub fn set_challenge(settings: &Settings, response: &mut Response, token: &Secret, seconds: i64) {
    set_cookie(settings, response, challenge_cookie(settings), token.expose(), Some(seconds));
}

/// Takes the token of a second step from the browser.
pub fn clear_challenge(settings: &Settings, response: &mut Response) {
    set_cookie(settings, response, challenge_cookie(settings), "", Some(0));
}

/// A page of ours that leads on to `next` in the end.
#[must_use]
pub fn with_next(page: &str, next: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("{page}?{query}")
}

/// A page of ours with the token of a link in it, as it is sent by e-mail.
#[must_use]
pub fn with_token(app: &App, page: &str, token: &Secret) -> String {
    format!("{}{page}?token={}", app.settings.site_url, token.expose())
}

/// To the sign-in page, and back from there to `next`.
#[must_use]
pub fn to_sign_in(next: &str) -> Response {
    redirect(&with_next("/accounts/login/", next))
}

/// To the sign-in page, even though somebody is signed in: what comes next takes a new sign-in. And back from there to
/// `next`.
#[must_use]
pub fn to_sign_in_again(next: &str) -> Response {
    redirect(&format!("{}&again=1", with_next("/accounts/login/", next)))
}

/// What a browser is called in the list of sessions. Nothing else of the header is kept. The order matters: most browsers
/// also name those that they are compatible with.
#[must_use]
pub fn kind(user_agent: &str) -> &'static str {
    const SYSTEMS: [(&str, [&str; 5]); 6] = [
        ("iPhone", ["Edge on iPhone", "Chrome on iPhone", "Firefox on iPhone", "Safari on iPhone", "iPhone"]),
        ("iPad", ["Edge on iPad", "Chrome on iPad", "Firefox on iPad", "Safari on iPad", "iPad"]),
        ("Android", ["Edge on Android", "Chrome on Android", "Firefox on Android", "Browser on Android", "Android"]),
        ("Windows", ["Edge on Windows", "Chrome on Windows", "Firefox on Windows", "Browser on Windows", "Windows"]),
        ("Mac OS X", ["Edge on macOS", "Chrome on macOS", "Firefox on macOS", "Safari on macOS", "macOS"]),
        ("Linux", ["Edge on Linux", "Chrome on Linux", "Firefox on Linux", "Browser on Linux", "Linux"]),
    ];
    const BROWSERS: [&[&str]; 4] = [&["Edg"], &["Chrome/", "CriOS"], &["Firefox/", "FxiOS"], &["Safari/"]];
    let named = |names: &[&str]| names.iter().any(|name| user_agent.contains(name));
    let browser = BROWSERS.iter().position(|names| named(names)).unwrap_or(BROWSERS.len());
    let system = SYSTEMS.iter().find(|(name, _)| user_agent.contains(name));
    system.and_then(|(_, labels)| labels.get(browser)).copied().unwrap_or("Unknown browser")
}

/// Who is signed in in the browser, if anybody.
pub async fn signed_in(app: &App, request: &Request) -> Result<Option<SignedIn>, Failure> {
    let Some(token) = session_token(&app.settings, request) else {
        return Ok(None);
    };
    let settings = &app.settings;
    let (idle, admins) = (settings.session_idle_seconds, settings.super_admins_need_factor);
    let session = app.store().await?.session(&token.hash(), idle, admins).await?;
    Ok(session.map(|session| SignedIn { session, token }))
}

/// Gives the browser the token of a new session.
pub fn set_session(settings: &Settings, response: &mut Response, token: &Secret) {
    let seconds = settings.lifetimes.session.as_secs();
    set_cookie(settings, response, session_cookie(settings), token.expose(), Some(seconds));
}

/// Takes the session's token from the browser.
pub fn clear_session(settings: &Settings, response: &mut Response) {
    set_cookie(settings, response, session_cookie(settings), "", Some(0));
}

/// The random value in a browser that nobody signed in to, which binds the sign-in form to it.
#[derive(Debug)]
pub struct FormCookie {
    value: Secret,
    is_new: bool,
}

impl FormCookie {
    /// The browser's own, if it has a well-formed one.
    #[must_use]
    pub fn read(request: &Request) -> Option<Self> {
        let value = request.cookie(FORM_COOKIE).filter(|value| is_random_token(value))?;
        Some(Self { value: Secret::presented(value), is_new: false })
    }

    /// The browser's own, or a new one.
    pub fn read_or_make(request: &Request) -> Result<Self, RandomError> {
        match Self::read(request) {
            Some(cookie) => Ok(cookie),
            None => Ok(Self { value: Secret::generate()?, is_new: true }),
        }
    }

    /// What the form is bound to.
    #[must_use]
    pub fn binding(&self) -> &str {
        self.value.expose()
    }

    /// Gives the browser the value, if it is new.
    pub fn set(&self, settings: &Settings, response: &mut Response) {
        if self.is_new {
            set_cookie(settings, response, FORM_COOKIE, self.value.expose(), None);
        }
    }
}

/// Passes a form only when it was made for this browser: by the signed token in it, and by what the browser says of the
/// page that sent it (Fetch Metadata, <https://www.w3.org/TR/fetch-metadata/>, or `Origin` where a browser does not send that),
/// should another host of the same site have planted the cookie.
pub async fn check_form(
    app: &App,
    request: &Request,
    purpose: &str,
    binding: &str,
    token: Option<&str>,
) -> Result<(), Failure> {
    let is_ours = match request.header("sec-fetch-site") {
        None => request.header(header::ORIGIN).is_none_or(|origin| is_own_origin(&app.settings.site_url, origin)),
        Some("same-origin" | "none") => true,
        Some(_) => false,
    };
    let key = app.form_key().await?;
    if is_ours && token.is_some_and(|token| key.verify(purpose, binding, token)) {
        Ok(())
    } else {
        Err(Failure::Forbidden(FOREIGN_FORM))
    }
}

/// Whether `Origin` (RFC 6454 section 7) names this site. Our pages send no referrer, and then browsers say `null` of them too
/// (Fetch, "append a request `Origin` header"): that tells nothing.
fn is_own_origin(site_url: &str, origin: &str) -> bool {
    origin == "null" || origin.eq_ignore_ascii_case(site_url.trim_end_matches('/'))
}

/// The pairs of a form.
pub type Form = Vec<(String, String)>;

/// The form that was sent by a browser in which nobody need be signed in, and the cookie that it was made for.
pub async fn anonymous_form(app: &App, request: &Request, purpose: &str) -> Result<(Form, FormCookie), Failure> {
    let form = request.form()?;
    // Without a cookie there is nothing that a form could be bound to.
    let cookie = FormCookie::read(request).ok_or(Failure::Forbidden(FOREIGN_FORM))?;
    check_form(app, request, purpose, cookie.binding(), field(&form, FORM_FIELD)).await?;
    Ok((form, cookie))
}

/// A page with a form for a browser in which nobody need be signed in. `page` is given the form's token.
pub async fn anonymous_page(
    app: &App,
    cookie: &FormCookie,
    purpose: &str,
    page: impl FnOnce(&str) -> String,
) -> Result<Response, Failure> {
    let token = app.form_key().await?.issue(purpose, cookie.binding())?;
    let mut response = html(StatusCode::OK, page(&token));
    cookie.set(&app.settings, &mut response);
    Ok(response)
}

/// The form that was sent by the browser that has `binding`: the token of a session, or of an open second step.
pub async fn bound_form(app: &App, request: &Request, purpose: &str, binding: &Secret) -> Result<Form, Failure> {
    let form = request.form()?;
    check_form(app, request, purpose, binding.expose(), field(&form, FORM_FIELD)).await?;
    Ok(form)
}

/// A page with a form for the browser that has `binding`.
pub async fn bound_page(
    app: &App,
    purpose: &str,
    binding: &Secret,
    page: impl FnOnce(&str) -> String,
) -> Result<Response, Failure> {
    let token = app.form_key().await?.issue(purpose, binding.expose())?;
    Ok(html(StatusCode::OK, page(&token)))
}

/// The value of a field of a form. A field that is sent twice counts as absent.
#[must_use]
pub fn field<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = form.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// Where to go on this site: a path that cannot be read as the name of another host, else `/`.
#[must_use]
pub fn local_path(asked: Option<&str>) -> &str {
    asked.filter(|path| is_local_path(path)).unwrap_or("/")
}

/// Browsers take a backslash for a slash and drop control characters, so neither may help to form `//`.
fn is_local_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

/// True for what [`Secret::generate`] makes: 43 characters of base64url.
fn is_random_token(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn set_cookie(settings: &Settings, response: &mut Response, name: &str, value: &str, max_age: Option<i64>) {
    let secure = if settings.is_https() { "; Secure" } else { "" };
    let age = max_age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    // Our names and values are plain ASCII, so this never fails.
    if let Ok(mut cookie) =
        HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}"))
    {
        cookie.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RequestParts;
    use bytes::Bytes;
    use std::collections::HashMap;

    fn settings(site_url: &str) -> Settings {
        Settings::from_env(|name| (name == "SITE_URL").then(|| site_url.to_owned())).unwrap()
    }

    #[test]
    fn the_way_back_never_leaves_the_site() {
        for good in ["/", "/o/authorize/?a=b&c=%2F%2Fevil", "/a//b"] {
            assert_eq!(local_path(Some(good)), good);
        }
        for bad in [
            "",
            "a",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "/\r\nset-cookie: a=b",
            "/ü",
            "javascript:alert(1)",
            " /",
            "/a\\b",
            "/\0",
        ] {
            assert_eq!(local_path(Some(bad)), "/", "{bad:?}");
        }
        assert_eq!(local_path(None), "/");
    }

    #[test]
    fn the_session_cookie_is_kept_to_its_host_and_to_tls() {
        let token = Secret::presented("secret");
        for (url, expected) in [
            ("https://a.example", "__Host-jhe_session=secret; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=43200"),
            ("http://localhost:8000", "jhe_session=secret; Path=/; HttpOnly; SameSite=Lax; Max-Age=43200"),
        ] {
            let mut response = Response::new(Bytes::new());
            set_session(&settings(url), &mut response, &token);
            let cookie = response.headers().get(header::SET_COOKIE).unwrap();
            assert_eq!(cookie, expected);
            assert!(cookie.is_sensitive());
        }
    }

    fn request(headers: &[(&'static str, &str)]) -> Request {
        let headers = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        Request::from(RequestParts {
            method: http::Method::POST,
            path: "/".to_owned(),
            variables: HashMap::new(),
            query: String::new(),
            headers: headers.collect(),
            body: Bytes::new(),
            source: None,
            id: "r".to_owned(),
        })
    }

    #[test]
    fn a_form_is_bound_to_a_random_cookie_or_to_a_new_one() {
        let known = "a".repeat(43);
        let request_with = |cookie: &str| request(&[("cookie", cookie)]);
        let cookie = FormCookie::read_or_make(&request_with(&format!("csrftoken={known}"))).unwrap();
        assert_eq!((cookie.binding(), cookie.is_new), (known.as_str(), false));
        for planted in ["csrftoken=", "csrftoken=short", "a=b", &format!("csrftoken={known}=")] {
            assert!(FormCookie::read(&request_with(planted)).is_none(), "{planted}");
            assert!(FormCookie::read_or_make(&request_with(planted)).unwrap().is_new, "{planted}");
        }
    }

    #[tokio::test]
    async fn a_form_passes_only_from_the_browser_and_the_page_it_was_made_for() {
        let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
        let lookup = move |name: &str| match name {
            "SITE_URL" => Some("https://a.example".to_owned()),
            "LINK_KEY" | "FORM_KEY" | "FACTOR_KEY" => Some(key.to_owned()),
            // No form is signed with it.
            _ => None,
        };
        let app = App::new(lookup, None, 1).unwrap();
        let token = app.form_key().await.unwrap().issue("login", "browser").unwrap();
        let token = token.as_str();
        for (site, purpose, binding, token, passes) in [
            (None, "login", "browser", Some(token), true),
            (Some("same-origin"), "login", "browser", Some(token), true),
            (Some("none"), "login", "browser", Some(token), true),
            (Some("same-site"), "login", "browser", Some(token), false),
            (Some("cross-site"), "login", "browser", Some(token), false),
            (None, "logout", "browser", Some(token), false),
            (None, "login", "another", Some(token), false),
            (None, "login", "browser", Some("x"), false),
            (None, "login", "browser", None, false),
            (Some(""), "login", "browser", Some(token), false),
        ] {
            let headers: Vec<_> = site.map(|site| ("sec-fetch-site", site)).into_iter().collect();
            let checked = check_form(&app, &request(&headers), purpose, binding, token).await;
            assert_eq!(checked.is_ok(), passes, "{site:?} {purpose} {binding} {token:?}");
        }
        for (origin, site, passes) in [
            ("https://a.example", None, true),
            ("https://A.example", None, true),
            ("null", None, true),
            ("https://b.example", None, false),
            ("http://a.example", None, false),
            ("https://a.example:8443", None, false),
            ("https://a.example.evil.example", None, false),
            ("", None, false),
            ("null", Some("cross-site"), false),
        ] {
            let headers: Vec<_> =
                [("origin", origin)].into_iter().chain(site.map(|site| ("sec-fetch-site", site))).collect();
            let checked = check_form(&app, &request(&headers), "login", "browser", Some(token)).await;
            assert_eq!(checked.is_ok(), passes, "{origin} {site:?}");
        }
    }

    #[test]
    fn a_browser_is_called_by_its_kind() {
        for (agent, name) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1", "Safari on iPhone"),
            ("curl/8.0", "Unknown browser"),
            ("", "Unknown browser"),
        ] {
            assert_eq!(kind(agent), name, "{agent}");
        }
    }

    #[test]
    fn a_field_sent_twice_counts_as_absent() {
        let form = [("a", "1"), ("b", "2"), ("b", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(field(&form, "a"), Some("1"));
        assert_eq!(field(&form, "b"), None);
        assert_eq!(field(&form, "c"), None);
    }
}
