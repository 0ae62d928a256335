//! Redirect URIs: which are allowed, which match, and what is appended to them.

use form_urlencoded::Serializer;

use crate::error::OAuthError;

const MAX_CHARACTERS: usize = 2048;

/// A URI cannot be used as a redirect URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// Not an absolute URI of printable ASCII, or too long.
    #[error("the redirect URI is malformed")]
    Malformed,
    /// RFC 6749 3.1.2 forbids fragments.
    #[error("a redirect URI has no fragment")]
    Fragment,
    /// Userinfo hides the host from a reader.
    #[error("a redirect URI has no user name")]
    Userinfo,
    /// Plain http leaves the device only towards the device itself (RFC 8252 7.3).
    #[error("a redirect URI with http must be on this device")]
    Insecure,
    /// A scheme of an app is a reversed domain name (RFC 8252 7.1). This also excludes `javascript` and `data`.
    #[error("the scheme of a redirect URI is https or a reversed domain name")]
    Scheme,
}

/// Checks that a URI may be registered or presented at all.
pub fn check(uri: &str) -> Result<(), RedirectError> {
    if uri.len() > MAX_CHARACTERS || !uri.bytes().all(is_uri_byte) {
        return Err(RedirectError::Malformed);
    }
    if uri.contains('#') {
        return Err(RedirectError::Fragment);
    }
    let (scheme, rest) = uri.split_once(':').ok_or(RedirectError::Malformed)?;
    if !is_scheme(scheme) {
        return Err(RedirectError::Malformed);
    }
    let authority = rest.strip_prefix("//").map(authority_of);
    if authority.is_some_and(|a| a.contains('@')) {
        return Err(RedirectError::Userinfo);
    }
    match (scheme, authority) {
        ("https" | "http", None | Some("")) => Err(RedirectError::Malformed),
        ("https", Some(_)) => Ok(()),
        ("http", Some(authority)) if is_this_device(authority) => Ok(()),
        ("http", Some(_)) => Err(RedirectError::Insecure),
        _ if scheme.contains('.') && !rest.is_empty() => Ok(()),
        _ => Err(RedirectError::Scheme),
    }
}

/// Whether a presented URI is one of the registered ones.
///
/// Matching is by exact text (RFC 9700 2.1), except that the port of a loopback address may differ
/// (RFC 8252 7.3). The exception is for `127.0.0.1` and `[::1]` only. `localhost` is matched like any other
/// name, port included: RFC 8252 8.3 warns that the name may lead off the device.
#[must_use]
pub fn is_registered(registered: &[String], presented: &str) -> bool {
    check(presented).is_ok()
        && registered.iter().any(|uri| {
            uri == presented
                || loopback_without_port(presented).is_some_and(|parts| loopback_without_port(uri) == Some(parts))
        })
}

/// Whether text is the origin of a page as browsers write it: `https`, or `http` on this device, a host in small letters, and
/// a port if it is not the scheme's own (<https://html.spec.whatwg.org/#ascii-serialisation-of-an-origin>).
#[must_use]
pub fn is_origin(text: &str) -> bool {
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    authority.is_some_and(|authority| {
        !authority.is_empty()
            && authority.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b))
    }) && check(text).is_ok()
}

/// The redirect URI with the code (RFC 6749 4.1.2) and the issuer (RFC 9207 2).
#[must_use]
pub fn with_code(uri: &str, code: &str, state: Option<&str>, issuer: &str) -> String {
    with_query(uri, [("code", Some(code)), ("state", state), ("iss", Some(issuer))])
}

/// The redirect URI with an error (RFC 6749 4.1.2.1) and the issuer (RFC 9207 2).
#[must_use]
pub fn with_error(uri: &str, error: &OAuthError, state: Option<&str>, issuer: &str) -> String {
    with_query(
        uri,
        [
            ("error", Some(error.code.as_str())),
            ("error_description", Some(error.description)),
            ("state", state),
            ("iss", Some(issuer)),
        ],
    )
}

/// Appends to the query. What the URI already has stays (RFC 6749 3.1.2).
fn with_query<const N: usize>(uri: &str, parameters: [(&str, Option<&str>); N]) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let separator = match uri.split_once('?') {
        None => "?",
        Some((_, existing)) if existing.is_empty() || existing.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{uri}{separator}{}", query.finish())
}

/// The host and everything after the port of `http://127.0.0.1:<port>` or `http://[::1]:<port>`.
fn loopback_without_port(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let authority = authority_of(rest);
    let (host, _) = host_and_port(authority)?;
    let after = rest.strip_prefix(authority)?;
    matches!(host, "127.0.0.1" | "[::1]").then_some((host, after))
}

/// Whether nobody can tell which app on a device gets what is sent to a URI: plain http on the device, where any app can listen,
/// or a scheme, which any app can claim (RFC 8252 8.6).
#[must_use]
pub fn is_on_device(uri: &str) -> bool {
    !uri.starts_with("https://")
}

fn is_this_device(authority: &str) -> bool {
    host_and_port(authority).is_some_and(|(host, _)| matches!(host, "127.0.0.1" | "[::1]" | "localhost"))
}

/// The part of a hierarchical URI up to the path or query.
fn authority_of(rest: &str) -> &str {
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Splits `host[:port]`. `None` if the port is not a number of a port.
fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let host_end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (before, after) = authority.split_at_checked(host_end)?;
    match after.split_once(':') {
        None => Some((authority, None)),
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
            let host = authority.get(..before.len() + name.len())?;
            Some((host, Some(port.parse().ok()?)))
        }
        Some(_) => None,
    }
}

/// `ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )` (RFC 3986 3.1), in lower case.
fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b))
}

/// The bytes RFC 3986 2 allows in a URI. A backslash, quotes and angle brackets are not among them.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

#[cfg(test)]
mod tests;
