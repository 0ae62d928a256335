//! Clients: the applications that ask for tokens (RFC 6749 2).

use crate::scope::Scope;
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
    /// Whether it can keep a secret.
    pub kind: ClientKind,
    /// Where responses may be sent, each matched whole.
    pub redirect_uris: Vec<String>,
    /// What it may send to the token endpoint.
    pub grant_types: Vec<GrantType>,
    /// The most it may ask for.
    pub scopes: Scope,
    /// Whether users are not asked to agree, because the operator vouches for the client.
    pub skip_authorization: bool,
}

impl Client {
    /// Whether the client may use this grant.
    #[must_use]
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }
}

/// The client types of RFC 6749 2.1.
#[derive(Debug, Clone)]
pub enum ClientKind {
    /// Cannot keep a secret: a browser, a phone.
    Public,
    /// Keeps a secret. We know its SHA-256: secrets are generated here with 256 bits, so no slow hash is needed.
    Confidential {
        /// The hash of the secret.
        secret_hash: TokenHash,
    },
}

/// The grants a client can be registered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantType {
    /// RFC 6749 4.1.
    AuthorizationCode,
    /// RFC 6749 6.
    RefreshToken,
    /// RFC 6749 4.4. Clients may be registered for it; the token endpoint does not offer it.
    ClientCredentials,
}

impl GrantType {
    /// The value of `grant_type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }

    /// The grant of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "authorization_code" => Some(Self::AuthorizationCode),
            "refresh_token" => Some(Self::RefreshToken),
            "client_credentials" => Some(Self::ClientCredentials),
            _ => None,
        }
    }
}
