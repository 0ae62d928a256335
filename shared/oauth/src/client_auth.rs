//! Client authentication at the token endpoint (RFC 6749 2.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;

use crate::client::{Client, ClientKind};
use crate::error::OAuthError;
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
    /// `client_secret_basic` or `client_secret_post`.
    Secret(Secret),
}

impl ClientAuthentication {
    /// Reads the `Authorization` header and the form.
    ///
    /// A request may use one method only (RFC 6749 2.3). A `client_id` in the form beside HTTP Basic is not a
    /// second method, but must be the same.
    pub fn parse(authorization: Option<&str>, params: &Params) -> Result<Self, OAuthError> {
        let form_id = params.get("client_id")?;
        let form_secret = params.get("client_secret")?;
        let (client_id, secret) = match authorization {
            Some(_) if form_secret.is_some() => {
                return Err(OAuthError::invalid_request("Only one way of client authentication may be used."));
            }
            Some(header) => {
                let (id, secret) = basic(header).ok_or(OAuthError::invalid_client())?;
                if form_id.is_some_and(|form_id| form_id != id) {
                    return Err(OAuthError::invalid_request("Two different clients are named."));
                }
                (id, (!secret.is_empty()).then(|| Secret::presented(&secret)))
            }
            None => {
                let id = form_id.ok_or(OAuthError::invalid_client())?;
                (id.to_owned(), form_secret.map(Secret::presented))
            }
        };
        let fits = |text: &str| text.len() <= MAX_CHARACTERS && is_vschar(text);
        if client_id.is_empty() || !fits(&client_id) || !secret.as_ref().is_none_or(|s| fits(s.expose())) {
            return Err(OAuthError::invalid_client());
        }
        Ok(Self { client_id, method: secret.map_or(Method::None, Method::Secret) })
    }

    /// The client to look up.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Whether the sender is this client.
    ///
    /// A confidential client must prove it (RFC 6749 3.2.1). A public client has nothing to prove it with, so
    /// one that presents a secret is refused.
    pub fn verify(&self, client: &Client) -> Result<(), OAuthError> {
        let proved = match (&client.kind, &self.method) {
            (ClientKind::Public, Method::None) => true,
            (ClientKind::Confidential { secret_hash }, Method::Secret(secret)) => secret.hash() == *secret_hash,
            _ => false,
        };
        if proved && client.client_id == self.client_id { Ok(()) } else { Err(OAuthError::invalid_client()) }
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
