//! Revocation (RFC 7009) and introspection (RFC 7662): what is asked, and what is answered.

use jiff::Timestamp;
use serde::Serialize;

use crate::authentication::Acr;
use crate::client::{Client, ClientKind};
use crate::client_auth::ClientAuthentication;
use crate::error::OAuthError;
use crate::params::Params;
use crate::resource::Audience;
use crate::token::Secret;

/// A request about a token. `token_type_hint` is not read: a token is looked for among all of its kinds
/// (RFC 7009 2.1, RFC 7662 2.1).
#[derive(Debug)]
pub struct TokenQuestion {
    /// Who asks.
    pub client: ClientAuthentication,
    /// About what; look it up by its hash.
    pub token: Secret,
}

impl TokenQuestion {
    /// Reads the `Authorization` header and the form.
    pub fn parse(authorization: Option<&str>, params: &Params) -> Result<Self, OAuthError> {
        let token = params.require("token", "The token is missing.")?;
        Ok(Self { client: ClientAuthentication::parse(authorization, params)?, token: Secret::presented(token) })
    }
}

/// Whether a client that is authenticated may introspect at all: not one that anybody can claim to be (RFC 7662 2.1, 4).
pub fn may_introspect(client: &Client) -> Result<(), OAuthError> {
    match client.kind {
        ClientKind::Public => Err(OAuthError::invalid_client()),
        ClientKind::Confidential(_) => Ok(()),
    }
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// An access token.
    Access,
    /// A refresh token. Only the client that holds it needs to know of it.
    Refresh,
}

/// A token that is good now, as stored.
#[derive(Debug, Clone)]
pub struct LiveToken {
    /// What it is.
    pub kind: TokenKind,
    /// The primary key of the client it was issued to.
    pub client: i32,
    /// That client's `client_id`.
    pub client_id: String,
    /// The user it acts for.
    pub user: i32,
    /// What it allows, space separated.
    pub scope: String,
    /// What it is for.
    pub audience: Audience,
    /// When it was issued, if that is known.
    pub issued_at: Option<Timestamp>,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
    /// The thumbprint of the key that it is bound to.
    pub key: Option<String>,
    /// When the user logged in.
    pub auth_time: Timestamp,
    /// How; empty when nobody did.
    pub methods: Vec<String>,
}

impl LiveToken {
    /// Whether this client may learn of the token (RFC 7662 4): its own, or an access token that is for it as a resource server.
    #[must_use]
    pub fn is_shown_to(&self, client: &Client, site_url: &str) -> bool {
        let is_for = |uri: &String| self.kind == TokenKind::Access && self.audience.is_for(uri, site_url);
        self.client == client.id || client.resource_uri.as_ref().is_some_and(is_for)
    }
}

/// The answer of RFC 7662 2.2. No `username`: `sub` is enough to know the user by.
#[derive(Debug, Serialize)]
pub struct Introspection {
    active: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    token: Option<Members>,
}

#[derive(Debug, Serialize)]
struct Members {
    scope: String,
    client_id: String,
    sub: String,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    iss: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    // RFC 9470 6.2: how strong the sign-in was, and when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
}

/// What proves that a token is its sender's (RFC 9449 6.2).
#[derive(Debug, Serialize)]
struct Confirmation {
    jkt: String,
}

impl Introspection {
    /// Nothing that the client may know of, for whatever reason (RFC 7662 2.2).
    #[must_use]
    pub const fn inactive() -> Self {
        Self { active: false, token: None }
    }

    /// A token that is good now.
    #[must_use]
    pub fn active(token: LiveToken, issuer: &str, site_url: &str) -> Self {
        let aud = (token.kind == TokenKind::Access).then(|| token.audience.told(site_url));
        let acr = Acr::of(&token.methods);
        Self {
            active: true,
            token: Some(Members {
                scope: token.scope,
                client_id: token.client_id,
                sub: token.user.to_string(),
                exp: token.expires_at.as_second(),
                iat: token.issued_at.map(Timestamp::as_second),
                iss: issuer.to_owned(),
                aud,
                token_type: match token.kind {
                    TokenKind::Access if token.key.is_some() => Some("DPoP"),
                    TokenKind::Access => Some("Bearer"),
                    TokenKind::Refresh => None,
                },
                cnf: token.key.map(|jkt| Confirmation { jkt }),
                acr: acr.map(Acr::as_str),
                auth_time: acr.map(|_| token.auth_time.as_second()),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
