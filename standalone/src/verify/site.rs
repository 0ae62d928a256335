//! The site, as the world reaches it.

use super::{
    Subject, Target, Verdict,
    old_tls::{self, Old},
};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, SupportedProtocolVersion, version};
use rustls_pki_types::{CertificateDer, ServerName};
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How long the site may take for anything that is asked here.
const PATIENCE: Duration = Duration::from_secs(10);

/// A year in seconds: less is no answer to who comes back once a year.
const YEAR: u64 = 31_536_000;

/// What is asked without a token: health data, and people.
const GUARDED: [&str; 4] =
    ["/FHIR/R5/Observation", "/FHIR/R5/Patient", "/api/v1/patients?page=1", "/api/v1/users/profile"];

/// What is asked in clear text: a page of each kind.
const CLEAR: [&str; 3] = ["/health", "/accounts/login/", "/FHIR/R5/Observation"];

/// Why there was no answer.
enum Silence {
    /// Nothing listens there: the connection was refused.
    Closed(String),
    /// Nothing came back.
    Mute(String),
    /// It is not seen from here: its name is not resolved, or no way leads there.
    Unseen(String),
    /// It was reached, and what came is not what was asked for.
    Broken(String),
}

impl Silence {
    fn text(&self) -> &str {
        let (Self::Closed(text) | Self::Mute(text) | Self::Unseen(text) | Self::Broken(text)) = self;
        text
    }
}

/// Where something is reached.
struct Place<'a> {
    is_https: bool,
    host: &'a str,
    port: u16,
}

impl<'a> Place<'a> {
    fn of(url: &'a Uri) -> Option<Self> {
        let is_https = url.scheme_str() == Some("https");
        let host = url.host()?.trim_matches(['[', ']']);
        Some(Self { is_https, host, port: url.port_u16().unwrap_or(if is_https { 443 } else { 80 }) })
    }

    async fn connect(&self) -> Result<TcpStream, Silence> {
        let resolved = timeout(PATIENCE, lookup_host((self.host, self.port))).await;
        let addresses: Vec<SocketAddr> = match resolved {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(error)) => return Err(Silence::Unseen(format!("{} is not resolved: {error}", self.host))),
            Err(_) => return Err(Silence::Unseen(format!("{} is not resolved", self.host))),
        };
        match timeout(PATIENCE, TcpStream::connect(addresses.as_slice())).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => {
                let why = format!("{}:{} is not reached: {error}", self.host, self.port);
                let refused = error.kind() == std::io::ErrorKind::ConnectionRefused;
                Err(if refused { Silence::Closed(why) } else { Silence::Unseen(why) })
            }
            Err(_) => Err(Silence::Mute(format!("{}:{} does not answer", self.host, self.port))),
        }
    }

    async fn secure(
        &self,
        authorities: Option<&Path>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<TlsStream<TcpStream>, Silence> {
        let broken = |error: String| Silence::Broken(format!("TLS with {} fails: {error}", self.host));
        let config = client(authorities, versions).map_err(broken)?;
        let name = ServerName::try_from(self.host.to_owned()).map_err(|error| broken(error.to_string()))?;
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, self.connect().await?);
        match timeout(PATIENCE, handshake).await {
            Ok(stream) => stream.map_err(|error| broken(error.to_string())),
            Err(_) => Err(Silence::Mute(format!("TLS with {} takes too long", self.host))),
        }
    }
}

/// A client that trusts the authorities of the web, and those of a file besides.
fn client(authorities: Option<&Path>, versions: &[&'static SupportedProtocolVersion]) -> Result<ClientConfig, String> {
    let trusted = tls::authorities_of_the_web_and(authorities).map_err(|error| error.to_string())?;
    tls::client_of(versions, trusted).map_err(|error| error.to_string())
}

/// An answer, without its body.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
}

async fn get(subject: &Subject, url: &str) -> Result<Answer, Silence> {
    let uri: Uri = url.parse().map_err(|_| Silence::Broken(format!("{url} is no URL")))?;
    let place = Place::of(&uri).ok_or_else(|| Silence::Broken(format!("{url} has no host")))?;
    if place.is_https {
        let stream = place.secure(subject.given.authorities.as_deref(), &[&version::TLS13, &version::TLS12]).await?;
        ask(stream, &uri).await
    } else {
        ask(place.connect().await?, &uri).await
    }
}

async fn ask(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, uri: &Uri) -> Result<Answer, Silence> {
    let broken = |error: hyper::Error| Silence::Broken(format!("the answer is not HTTP: {error}"));
    let host = uri.authority().map(ToString::to_string).unwrap_or_default();
    let request = Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| Silence::Broken("the URL cannot be asked for".to_owned()))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let connection = tokio::spawn(connection);
    let answer = timeout(PATIENCE, sender.send_request(request)).await;
    connection.abort();
    let response = answer.map_err(|_| Silence::Mute("the answer takes too long".to_owned()))?.map_err(broken)?;
    Ok(Answer { status: response.status(), headers: response.headers().clone() })
}

/// What no answer means: on a developer's machine nothing need be served.
fn silent(subject: &Subject, silence: &Silence) -> Verdict {
    match (subject.target, silence) {
        (Target::Local, Silence::Closed(why)) => Verdict::NotCheckable(format!("{why}: start it by `make run`")),
        (_, Silence::Unseen(why) | Silence::Mute(why)) => {
            Verdict::NotCheckable(format!("{why}; ask it from where its users are"))
        }
        (_, silence) => Verdict::Fail(silence.text().to_owned()),
    }
}

/// None where the site's URL is https; else nothing of TLS can be asked.
fn in_clear(subject: &Subject) -> Option<Verdict> {
    let url = &subject.app.settings.site_url;
    (!subject.app.settings.is_https()).then(|| Verdict::NotCheckable(format!("{url} is not https")))
}

/// The site is reached by TLS; on a developer's machine it need not be.
#[must_use]
pub fn https(subject: &Subject) -> Verdict {
    let url = &subject.app.settings.site_url;
    match (subject.app.settings.is_https(), subject.target) {
        (true, _) => Verdict::Pass(format!("it is {url}")),
        (false, Target::Local) => {
            Verdict::NotCheckable(format!("{url} is for this machine alone, where no TLS is needed"))
        }
        (false, _) => Verdict::Fail(format!("{url} is not https")),
    }
}

/// Clear text leads to TLS.
pub async fn redirect(subject: &Subject) -> Verdict {
    if let Some(verdict) = in_clear(subject) {
        return verdict;
    }
    let site = &subject.app.settings.site_url;
    let url = subject.given.clear_url.clone().or_else(|| {
        let uri: Uri = site.parse().ok()?;
        Some(format!("http://{}", uri.host()?))
    });
    let Some(url) = url else { return Verdict::NotCheckable(format!("{site} has no host")) };
    let mut seen = Vec::new();
    for path in CLEAR {
        match get(subject, &format!("{url}{path}")).await {
            // By a machine that serves the site: another one, or one that is down, says nothing of it.
            Err(Silence::Closed(why)) if is_reached(site).await => {
                return Verdict::Pass(format!("nothing listens for clear text: {why}"));
            }
            Err(Silence::Closed(why)) => return Verdict::NotCheckable(format!("{why}, and no more is {site}")),
            Err(Silence::Mute(why) | Silence::Unseen(why)) => {
                return Verdict::NotCheckable(format!("{why}; ask it from where its users are"));
            }
            Err(Silence::Broken(why)) => return Verdict::Fail(why),
            Ok(answer) => {
                let location =
                    answer.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("-");
                let what = format!("{path} {} with Location {location}", answer.status.as_u16());
                if !answer.status.is_redirection() || !location.starts_with("https://") {
                    return Verdict::Fail(format!("{url} answers {what}"));
                }
                seen.push(what);
            }
        }
    }
    Verdict::Pass(format!("{url} redirects to TLS: {}", seen.join(", ")))
}

/// Whether anything listens where a URL leads.
async fn is_reached(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    match Place::of(&uri) {
        Some(place) => place.connect().await.is_ok(),
        None => false,
    }
}

/// No TLS 1.0 and 1.1, but 1.2 or 1.3, by a certificate that is valid.
pub async fn tls_versions(subject: &Subject) -> Verdict {
    if let Some(verdict) = in_clear(subject) {
        return verdict;
    }
    let Ok(uri) = subject.app.settings.site_url.parse::<Uri>() else {
        return Verdict::NotCheckable("SITE_URL is no URL".to_owned());
    };
    let Some(place) = Place::of(&uri) else { return Verdict::NotCheckable("SITE_URL has no host".to_owned()) };
    for old in Old::ALL {
        match takes(&place, old).await {
            Ok(false) => {}
            Ok(true) => return Verdict::Fail(format!("{} takes {}", place.host, old.name())),
            Err(silence) => return silent(subject, &silence),
        }
    }
    let authorities = subject.given.authorities.as_deref();
    let mut taken = Vec::new();
    let mut refusal = None;
    for (version, name) in [(&version::TLS12, "TLS 1.2"), (&version::TLS13, "TLS 1.3")] {
        match place.secure(authorities, &[version]).await {
            Ok(_) => taken.push(name),
            Err(silence) => refusal = Some(silence),
        }
    }
    if let (true, Some(refusal)) = (taken.is_empty(), refusal) {
        return silent(subject, &refusal);
    }
    Verdict::Pass(format!("TLS 1.0 and 1.1 are refused; {} taken, with a valid certificate", taken.join(" and ")))
}

/// Whether a server goes on in an old version.
async fn takes(place: &Place<'_>, old: Old) -> Result<bool, Silence> {
    let stream = place.connect().await?;
    // A connection that is cut is refused as well. One that is kept silent is not seen to be.
    match timeout(PATIENCE, old_tls::is_taken_by(stream, old, place.host)).await {
        Ok(taken) => Ok(taken.unwrap_or(false)),
        Err(_) => Err(Silence::Mute(format!("{} does not answer to {}", place.host, old.name()))),
    }
}

/// HSTS.
pub async fn strict_transport(subject: &Subject) -> Verdict {
    if let Some(verdict) = in_clear(subject) {
        return verdict;
    }
    match get(subject, &format!("{}/health", subject.app.settings.site_url)).await {
        Err(silence) => silent(subject, &silence),
        Ok(answer) => {
            let mut values = answer.headers.get_all(header::STRICT_TRANSPORT_SECURITY).iter();
            let value = values.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
            match max_age(value) {
                Some(age) if age >= YEAR => Verdict::Pass(format!("it is {value}")),
                _ => Verdict::Fail(format!("it is {value:?}")),
            }
        }
    }
}

/// `max-age` (RFC 6797 section 6.1.1).
fn max_age(value: &str) -> Option<u64> {
    let mut directives = value.split(';').filter_map(|directive| directive.trim().split_once('='));
    let (_, age) = directives.find(|(name, _)| name.trim().eq_ignore_ascii_case("max-age"))?;
    age.trim().trim_matches('"').parse().ok()
}

/// The flags of the cookies that the page of sign-ins sets; those of sessions are set in the same way.
pub async fn cookies(subject: &Subject) -> Verdict {
    let secure = subject.app.settings.is_https();
    if !secure && subject.target != Target::Local {
        return Verdict::NotCheckable("without https no cookie is kept to TLS".to_owned());
    }
    let answer = match get(subject, &format!("{}/accounts/login/", subject.app.settings.site_url)).await {
        Err(silence) => return silent(subject, &silence),
        Ok(answer) => answer,
    };
    // One that is not text is looked at too.
    let cookies = answer.headers.get_all(header::SET_COOKIE).iter();
    let cookies: Vec<_> = cookies.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    if cookies.is_empty() {
        return Verdict::Fail(format!("the page of sign-ins sets none (status {})", answer.status.as_u16()));
    }
    let without: Vec<String> = cookies.iter().filter_map(|cookie| lacking(cookie, secure)).collect();
    if without.is_empty() {
        let kept = if secure { "Secure, HttpOnly and SameSite" } else { "HttpOnly and SameSite" };
        Verdict::Pass(format!("the cookies of the page of sign-ins are {kept}"))
    } else {
        Verdict::Fail(without.join("; "))
    }
}

/// What a cookie lacks; its value is not said.
fn lacking(cookie: &str, secure: bool) -> Option<String> {
    let mut parts = cookie.split(';').map(str::trim);
    let name = parts.next().and_then(|pair| pair.split('=').next()).unwrap_or_default();
    let attributes: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
    let has = |wanted: &str| attributes.iter().any(|attribute| attribute == wanted);
    let mut lacks = Vec::new();
    if secure && !has("secure") {
        lacks.push("Secure");
    }
    if !has("httponly") {
        lacks.push("HttpOnly");
    }
    if !has("samesite=lax") && !has("samesite=strict") {
        lacks.push("SameSite");
    }
    (!lacks.is_empty()).then(|| format!("{name} is not {}", lacks.join(", ")))
}

/// The certificates that a site shows, its own first. They are verified; the error says why there are none.
pub async fn presented(url: &str, authorities: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = shown(url, authorities).await;
    found.map_err(|silence| silence.text().to_owned())
}

async fn shown(url: &str, authorities: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, Silence> {
    let uri: Uri = url.parse().map_err(|_| Silence::Broken(format!("{url} is no URL")))?;
    let place = Place::of(&uri).filter(|place| place.is_https);
    let place = place.ok_or_else(|| Silence::Broken(format!("{url} is not https")))?;
    let stream = place.secure(authorities, &[&version::TLS13, &version::TLS12]).await?;
    let (_, connection) = stream.get_ref();
    Ok(connection.peer_certificates().unwrap_or_default().to_vec())
}

/// Apps that pin what is published reach the site, today and after a change.
pub async fn pins(subject: &Subject) -> Verdict {
    let published = match tls_pins::published(|name| subject.app.variable(name)) {
        Err(error) => return Verdict::Fail(error.to_string()),
        Ok(published) if published.pins.is_empty() => {
            return Verdict::NotCheckable("none are published (TLS_PINS)".to_owned());
        }
        Ok(published) => published,
    };
    if let Some(verdict) = in_clear(subject) {
        return verdict;
    }
    let shown = match shown(&subject.app.settings.site_url, subject.given.authorities.as_deref()).await {
        Err(silence) => return silent(subject, &silence),
        Ok(shown) => shown,
    };
    let live: Vec<String> = shown.iter().filter_map(|certificate| tls::pin(certificate).ok()).collect();
    let today = subject.app.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    match published.change {
        _ if !live.iter().any(|pin| published.pins.contains(pin)) => {
            Verdict::Fail(format!("the site shows {}, and none of them is published", live.join(", ")))
        }
        Some(change) if change < today => Verdict::Fail(format!("they were to change on {change}, which is past")),
        _ => Verdict::Pass(format!("one of the {} that are published is in use", published.pins.len())),
    }
}

/// Nothing is answered to who has no token.
pub async fn tokens(subject: &Subject) -> Verdict {
    for path in GUARDED {
        match get(subject, &format!("{}{path}", subject.app.settings.site_url)).await {
            Err(silence) => return silent(subject, &silence),
            Ok(answer) if answer.status != StatusCode::UNAUTHORIZED => {
                return Verdict::Fail(format!("{path} is answered {}", answer.status.as_u16()));
            }
            Ok(_) => {}
        }
    }
    Verdict::Pass(format!("{} are answered 401", GUARDED.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_read_however_it_is_written() {
        for (value, age) in [
            ("max-age=63072000; includeSubDomains", Some(63_072_000)),
            ("includeSubDomains; Max-Age=\"1\"", Some(1)),
            ("max-age", None),
            ("max-age=-1", None),
            ("", None),
        ] {
            assert_eq!(max_age(value), age, "{value}");
        }
    }

    #[test]
    fn what_a_cookie_lacks_is_named_and_its_value_is_not() {
        let good = "a=SECRET; Path=/; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(lacking(good, true), None);
        for (flag, name) in [("; HttpOnly", "HttpOnly"), ("; SameSite=Lax", "SameSite"), ("; Secure", "Secure")] {
            assert_eq!(lacking(&good.replace(flag, ""), true), Some(format!("a is not {name}")));
        }
        assert_eq!(lacking("a=SECRET; HttpOnly; SameSite=Strict", false), None);
        assert_eq!(lacking("a=SECRET; SameSite=None; Secure; HttpOnly", true).as_deref(), Some("a is not SameSite"));
    }
}
