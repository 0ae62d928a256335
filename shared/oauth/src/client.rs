//! Clients: the applications that ask for tokens (RFC 6749 2).

use crate::error::{ErrorCode, OAuthError};
use crate::keys::KeySet;
use crate::redirect;
use crate::scope::{LAUNCH_PATIENT, Scope};
use crate::smart::{self, Level, SmartScope};
use crate::token::TokenHash;

/// A registered client.
#[derive(Debug, Clone)]
pub struct Client {
    /// The primary key.
    pub id: i32,
    /// The public name in requests, `client_id`.
    pub client_id: String,
    /// The name shown to users.
    pub name: String,
    /// Whether it can keep a secret, and how it proves who it is.
    pub kind: ClientKind,
    /// Where responses may be sent, each matched whole.
    pub redirect_uris: Vec<String>,
    /// What it may send to the token endpoint.
    pub grant_types: Vec<GrantType>,
    /// The most it may ask for.
    pub scopes: Scope,
    /// Whether users are not asked to agree, because the operator vouches for the client.
    pub skip_authorization: bool,
    /// The URI by which others name it (RFC 8707 2), if it serves resources: it may introspect tokens for them (RFC 7662 2.1).
    pub resource_uri: Option<String>,
    /// Whether a token of the client that names no SMART scope has all the access of its user: for the operator's own
    /// clients, which ask for `openid` alone. For any other client such a token is a sign-in and opens no data.
    pub whole_access: bool,
    /// Whether its authorization requests count only when they are pushed (RFC 9126 6).
    pub requires_pushed_requests: bool,
}

impl Client {
    /// Whether the client may use this grant.
    #[must_use]
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }

    /// Whether the client proves itself by a key that it alone has.
    #[must_use]
    pub const fn has_key(&self) -> bool {
        matches!(self.kind, ClientKind::Confidential(Credential::PrivateKey(_)))
    }

    /// Whether users are not asked to agree to a response at this URI. A public client on their device could be any app there,
    /// so the operator cannot vouch for it (RFC 8252 8.6, OWASP ASVS 5.0 10.7.1); unless the server is on the same device and
    /// reached without TLS, as nobody's but a developer's is.
    #[must_use]
    pub fn skips_consent(&self, redirect_uri: &str, site_url: &str) -> bool {
        let is_anybody = matches!(self.kind, ClientKind::Public) && redirect::is_on_device(redirect_uri);
        let is_developers = redirect_uri.starts_with("http://") && site_url.starts_with("http://");
        self.skip_authorization && (!is_anybody || is_developers)
    }

    /// What the client may have of what it asks for, by a grant. Without a scope parameter, all that it is registered for.
    ///
    /// It may have its own scopes, and SMART scopes that its own cover. A client of whole access may have any SMART scope,
    /// since each is less than what it may have without. Who names SMART scopes means to have no more than those: when none
    /// of them is left, nothing is, since a token without any could be one of whole access.
    pub fn grantable(&self, asked: Option<&Scope>, grant: GrantType) -> Result<Scope, OAuthError> {
        let asked = asked.unwrap_or(&self.scopes);
        let granted = asked.filter(|token| match SmartScope::parse(token) {
            Some(smart) if smart.is_covered_by(&self.scopes) => true,
            Some(smart) => {
                self.whole_access && (smart.level() == Level::System) == (grant == GrantType::ClientCredentials)
            }
            None => self.scopes.contains(token) || (self.whole_access && token == LAUNCH_PATIENT),
        });
        if granted.is_empty() || smart::is_named(asked) && !smart::is_named(&granted) {
            return Err(OAuthError::new(ErrorCode::InvalidScope, "The client may have nothing of the scope."));
        }
        Ok(granted)
    }
}

/// The client types of RFC 6749 2.1.
#[derive(Debug, Clone)]
pub enum ClientKind {
    /// Cannot keep a secret: a browser, a phone.
    Public,
    /// Keeps a secret, and proves it in the one way that it is registered for.
    Confidential(Credential),
}

/// What we know of a confidential client's secret, by the way it is proved.
#[derive(Debug, Clone)]
pub enum Credential {
    /// `client_secret_basic`. We know the secret's SHA-256: secrets are generated here with 256 bits, so no slow hash is
    /// needed.
    SecretBasic(TokenHash),
    /// `client_secret_post`.
    SecretPost(TokenHash),
    /// `private_key_jwt`. The client signs; we know its public keys.
    PrivateKey(KeySource),
}

/// Where the public keys of a client are.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// Registered with the client.
    Value(KeySet),
    /// At this https URL.
    Url(String),
}

/// How a client proves who it is at the token endpoint (RFC 7591 2, OpenID Connect Core 9). A client has one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// Not at all: a public client.
    None,
    /// The secret in HTTP Basic.
    SecretBasic,
    /// The secret in the form.
    SecretPost,
    /// A signed assertion.
    PrivateKeyJwt,
}

impl AuthMethod {
    /// Every method, as the metadata lists them.
    pub const ALL: [Self; 4] = [Self::None, Self::SecretBasic, Self::SecretPost, Self::PrivateKeyJwt];

    /// The value of `token_endpoint_auth_method`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic => "client_secret_basic",
            Self::SecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The method of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }

    /// Whether the client has a secret that we made.
    #[must_use]
    pub const fn has_secret(self) -> bool {
        matches!(self, Self::SecretBasic | Self::SecretPost)
    }
}

/// The grants a client can be registered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantType {
    /// RFC 6749 4.1.
    AuthorizationCode,
    /// RFC 6749 6.
    RefreshToken,
    /// RFC 6749 4.4.
    ClientCredentials,
    /// RFC 8693, at an endpoint of its own.
    TokenExchange,
}

impl GrantType {
    /// Every grant.
    pub const ALL: [Self; 4] =
        [Self::AuthorizationCode, Self::RefreshToken, Self::ClientCredentials, Self::TokenExchange];

    /// The value of `grant_type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }

    /// The grant of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_vouches_for_a_public_client_on_a_device_rfc_8252_8_6() {
        let client = |kind: ClientKind, skip_authorization| Client {
            id: 1,
            client_id: "app".to_owned(),
            name: String::new(),
            kind,
            redirect_uris: vec![],
            grant_types: vec![],
            scopes: Scope::default(),
            skip_authorization,
            resource_uri: None,
            whole_access: false,
            requires_pushed_requests: false,
        };
        let confidential = ClientKind::Confidential(Credential::SecretBasic(TokenHash::of("s")));
        for (uri, site, public) in [
            ("https://app.example/cb", "https://e.example", true),
            ("http://127.0.0.1:5000/cb", "https://e.example", false),
            ("http://localhost:8000/cb", "https://e.example", false),
            ("http://[::1]/cb", "https://e.example", false),
            ("org.example.app:/cb", "https://e.example", false),
            ("http://localhost:8000/cb", "http://localhost:8000", true),
            ("org.example.app:/cb", "http://localhost:8000", false),
        ] {
            assert_eq!(client(ClientKind::Public, true).skips_consent(uri, site), public, "{uri} {site}");
            assert!(client(confidential.clone(), true).skips_consent(uri, site), "{uri}: it proves who it is");
            assert!(!client(confidential.clone(), false).skips_consent(uri, site));
            assert!(!client(ClientKind::Public, false).skips_consent(uri, site));
        }
    }
}
