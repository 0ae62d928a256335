//! Client authentication, the same at every endpoint that a client calls itself (RFC 6749 2.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;

use jiff::Timestamp;

use crate::assertion::{self, Assertion, SingleUse};
use crate::client::{Client, ClientKind, Credential, KeySource};
use crate::discovery::Endpoints;
use crate::error::OAuthError;
use crate::keys::KeySet;
use crate::params::{Params, is_vschar};
use crate::token::Secret;

/// Longer than any `client_id` or secret.
const MAX_CHARACTERS: usize = 512;

/// Who the sender says it is, and how it means to prove it. Nothing is proved yet.
#[derive(Debug, Clone)]
pub struct ClientAuthentication {
    client_id: String,
    method: Method,
}

#[derive(Debug, Clone)]
enum Method {
    /// A public client only names itself (RFC 6749 3.2.1).
    None,
    /// `client_secret_basic`.
    Basic(Secret),
    /// `client_secret_post`.
    Post(Secret),
    /// `private_key_jwt`.
    Assertion(Box<Assertion>),
}

impl Method {
    const fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Basic(secret) | Self::Post(secret) => Some(secret),
            Self::None | Self::Assertion(_) => None,
        }
    }
}

impl ClientAuthentication {
    /// Reads the `Authorization` header and the form.
    ///
    /// A request may use one method only (RFC 6749 2.3). A `client_id` in the form beside another method is not a
    /// second method, but must be the same (RFC 7521 4.2).
    pub fn parse(authorization: Option<&str>, params: &Params) -> Result<Self, OAuthError> {
        let form_id = params.get("client_id")?;
        let form_secret = params.get("client_secret")?;
        let form_assertion = params.get("client_assertion")?;
        let ways = [authorization, form_secret, form_assertion].into_iter().flatten().count();
        if ways > 1 {
            return Err(OAuthError::invalid_request("Only one way of client authentication may be used."));
        }
        let (client_id, method) = if let Some(header) = authorization {
            let (id, secret) = basic(header).ok_or(OAuthError::invalid_client())?;
            let method = if secret.is_empty() { Method::None } else { Method::Basic(Secret::presented(&secret)) };
            (id, method)
        } else if let Some(jwt) = form_assertion {
            // RFC 7521 4.2: the type says how to read the assertion.
            if params.get("client_assertion_type")? != Some(assertion::TYPE) {
                return Err(OAuthError::invalid_request("The client_assertion_type is not supported."));
            }
            let assertion = Assertion::parse(jwt).map_err(|_| OAuthError::invalid_client())?;
            (assertion.subject().to_owned(), Method::Assertion(Box::new(assertion)))
        } else {
            let id = form_id.ok_or(OAuthError::invalid_client())?;
            (id.to_owned(), form_secret.map_or(Method::None, |secret| Method::Post(Secret::presented(secret))))
        };
        if form_id.is_some_and(|form_id| form_id != client_id) {
            return Err(OAuthError::invalid_request("Two different clients are named."));
        }
        let fits = |text: &str| text.len() <= MAX_CHARACTERS && is_vschar(text);
        if client_id.is_empty() || !fits(&client_id) || !method.secret().is_none_or(|secret| fits(secret.expose())) {
            return Err(OAuthError::invalid_client());
        }
        Ok(Self { client_id, method })
    }

    /// Whether a request names a client at all, or tries to prove something.
    pub fn is_attempted(authorization: Option<&str>, params: &Params) -> Result<bool, OAuthError> {
        let form = [params.get("client_id")?, params.get("client_secret")?, params.get("client_assertion")?];
        Ok(authorization.is_some() || form.into_iter().any(|value| value.is_some()))
    }

    /// A client that is known by the token it holds, and proves nothing: only a public one is let through.
    #[must_use]
    pub const fn by_token(client_id: String) -> Self {
        Self { client_id, method: Method::None }
    }

    /// The client to look up.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Where the keys have to be fetched from before [`ClientAuthentication::verify`], and the id of the key that is needed:
    /// only when the client signs and is registered with a URL.
    #[must_use]
    pub fn needs_keys<'a>(&'a self, client: &'a Client) -> Option<(&'a str, Option<&'a str>)> {
        match (&client.kind, &self.method) {
            (ClientKind::Confidential(Credential::PrivateKey(KeySource::Url(url))), Method::Assertion(assertion)) => {
                Some((url, assertion.kid()))
            }
            _ => None,
        }
    }

    /// Whether the sender is this client. `fetched` are the keys that [`ClientAuthentication::needs_keys`] asked for.
    ///
    /// A confidential client must prove it (RFC 6749 3.2.1), and in the one way that it is registered for: a secret that
    /// leaked through one way is worth nothing by another. A public client has nothing to prove it with, so one that
    /// presents something is refused. What comes back is the assertion's id: whoever sends it twice is not the client.
    pub fn verify(
        &self,
        client: &Client,
        fetched: Option<&KeySet>,
        endpoints: &Endpoints,
        now: Timestamp,
    ) -> Result<Option<SingleUse>, OAuthError> {
        let refused = Err(OAuthError::invalid_client());
        if client.client_id != self.client_id {
            return refused;
        }
        match (&client.kind, &self.method) {
            (ClientKind::Public, Method::None) => Ok(None),
            (ClientKind::Confidential(Credential::SecretBasic(hash)), Method::Basic(secret))
            | (ClientKind::Confidential(Credential::SecretPost(hash)), Method::Post(secret))
                if secret.hash() == *hash =>
            {
                Ok(None)
            }
            (ClientKind::Confidential(Credential::PrivateKey(source)), Method::Assertion(assertion)) => {
                let keys = match source {
                    KeySource::Value(keys) => Some(keys),
                    KeySource::Url(_) => fetched,
                };
                let keys = keys.ok_or(OAuthError::invalid_client())?;
                let used = assertion.verify(&client.client_id, keys, endpoints, now);
                used.map(Some).map_err(|_| OAuthError::invalid_client())
            }
            _ => refused,
        }
    }
}

/// The name and password of HTTP Basic, each of them form-encoded before (RFC 6749 2.3.1).
fn basic(header: &str) -> Option<(String, Zeroizing<String>)> {
    let (scheme, credentials) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") || credentials.len() > 8 * MAX_CHARACTERS {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(credentials.trim()).ok()?);
    let (id, secret) = str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((form_decode(id), Zeroizing::new(form_decode(secret))))
}

/// Decodes one value of `application/x-www-form-urlencoded` (RFC 6749 appendix B).
fn form_decode(text: &str) -> String {
    // The parser splits at `&` and `=`. Encoded text has neither, and text that was sent without encoding
    // must not lose what follows them.
    let whole = text.replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(whole.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
