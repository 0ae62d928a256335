//! Whether a code or a refresh token is still worth tokens.
//!
//! The caller reads the record by the hash of what was presented, asks here, and writes the outcome. Marking a
//! code or refresh token as used must be one conditional statement (`... where used_at is null`), so that of two
//! simultaneous requests one loses; the loser is a replay.

use jiff::{SignedDuration, Timestamp};

use crate::client::{Client, ClientKind, GrantType};
use crate::dpop::{self, Proof, Thumbprint};
use crate::error::{ErrorCode, OAuthError};
use crate::pkce::Challenge;
use crate::resource::Audience;
use crate::scope::{OFFLINE_ACCESS, ONLINE_ACCESS, Scope};
use crate::token_request::{CodeExchange, RefreshExchange};

/// How long things live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// An authorization code. RFC 6749 4.1.2 recommends at most ten minutes.
    pub code: SignedDuration,
    /// An access token.
    pub access: SignedDuration,
    /// A refresh token since it was issued. Each use issues a new one.
    pub refresh: SignedDuration,
    /// An `id_token`.
    pub id_token: SignedDuration,
    /// A login session.
    pub session: SignedDuration,
    /// An authorization since the user logged in, however often it is renewed.
    pub grant: SignedDuration,
}

impl Lifetimes {
    /// How long an authorization lasts at most. One for the time that the user is online ends with the longest session (SMART
    /// App Launch 2.2, `online_access`).
    #[must_use]
    pub fn longest(&self, scope: &Scope) -> SignedDuration {
        let is_online = scope.contains(ONLINE_ACCESS) && !scope.contains(OFFLINE_ACCESS);
        if is_online { self.session.min(self.grant) } else { self.grant }
    }

    /// When an authorization ends that nobody ended before.
    #[must_use]
    pub fn end_of_grant(&self, auth_time: Timestamp, scope: &Scope) -> Timestamp {
        auth_time.checked_add(self.longest(scope)).unwrap_or(Timestamp::MAX)
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            code: SignedDuration::from_secs(60),
            access: SignedDuration::from_mins(15),
            refresh: SignedDuration::from_hours(14 * 24),
            id_token: SignedDuration::from_mins(15),
            session: SignedDuration::from_hours(12),
            grant: SignedDuration::from_hours(365 * 24),
        }
    }
}

/// What every decision goes by, besides the records.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The time.
    pub now: Timestamp,
    /// How long things live.
    pub lifetimes: &'a Lifetimes,
    /// The URL of this server, the resource that is meant when none is named.
    pub site_url: &'a str,
}

/// An authorization code as stored.
#[derive(Debug, Clone)]
pub struct CodeRecord {
    /// The primary key of the client it was issued to.
    pub client: i32,
    /// The user who agreed.
    pub user: i32,
    /// The redirect URI of the authorization request.
    pub redirect_uri: String,
    /// The challenge of the authorization request.
    pub challenge: Challenge,
    /// What was granted.
    pub scope: Scope,
    /// What tokens may be for.
    pub audience: Audience,
    /// The nonce of the authorization request.
    pub nonce: Option<String>,
    /// The key that the authorization request named, `dpop_jkt`.
    pub key: Option<Thumbprint>,
    /// When the user logged in.
    pub auth_time: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
    /// When it was exchanged.
    pub used_at: Option<Timestamp>,
    /// When the authorization was ended that it stands for.
    pub revoked_at: Option<Timestamp>,
}

/// A refresh token as stored.
#[derive(Debug, Clone)]
pub struct RefreshRecord {
    /// The primary key of the client it was issued to.
    pub client: i32,
    /// The user it acts for.
    pub user: i32,
    /// What was granted.
    pub scope: Scope,
    /// What tokens may be for.
    pub audience: Audience,
    /// When the user logged in.
    pub auth_time: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
    /// The key that it is bound to.
    pub key: Option<Thumbprint>,
    /// When it was exchanged for its successor.
    pub rotated_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// What to issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The user the tokens act for.
    pub user: i32,
    /// The scope of the access token.
    pub scope: Scope,
    /// The scope of the refresh token, if one is to be issued. RFC 6749 6: that of its predecessor.
    pub refresh_scope: Option<Scope>,
    /// What the access token is for.
    pub audience: Audience,
    /// When the authorization ends, and with it the refresh token at the latest.
    pub ends_at: Timestamp,
    /// The nonce for the `id_token`.
    pub nonce: Option<String>,
    /// When the user logged in.
    pub auth_time: Timestamp,
}

/// Why nothing is issued. For the log; the client learns less, see [`GrantError::answer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The client may not use this grant.
    #[error("the client is not registered for the grant")]
    NotRegistered,
    /// It was issued to another client.
    #[error("issued to another client")]
    WrongClient,
    /// It was used before.
    #[error("used before")]
    Replay,
    /// It was revoked.
    #[error("revoked")]
    Revoked,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// The redirect URI is not that of the authorization request.
    #[error("another redirect URI")]
    WrongRedirect,
    /// The verifier does not meet the challenge.
    #[error("the verifier does not meet the challenge")]
    WrongVerifier,
    /// More scope than was granted.
    #[error("more scope than was granted")]
    ScopeTooWide,
    /// It is bound to a key that the client does not prove to hold.
    #[error("bound to another key")]
    WrongKey,
    /// Nothing of the scope may be had.
    #[error("nothing of the scope may be had")]
    NoScope,
    /// A resource that was not granted.
    #[error("a resource that was not granted")]
    WrongTarget,
}

impl GrantError {
    /// Whether every token that came from the same authorization must be revoked: somebody has a copy.
    #[must_use]
    pub const fn revokes_family(self) -> bool {
        matches!(self, Self::Replay)
    }

    /// What the client is told (RFC 6749 5.2).
    #[must_use]
    pub const fn answer(self) -> OAuthError {
        match self {
            Self::NotRegistered => {
                OAuthError::new(ErrorCode::UnauthorizedClient, "The client may not use this grant type.")
            }
            Self::ScopeTooWide => OAuthError::new(ErrorCode::InvalidScope, "The scope exceeds what was granted."),
            Self::NoScope => OAuthError::new(ErrorCode::InvalidScope, "The client may have nothing of the scope."),
            Self::WrongTarget => Audience::unknown(),
            _ => OAuthError::invalid_grant(),
        }
    }
}

/// Whether a code may be exchanged. The client is authenticated already.
pub fn redeem_code(
    record: &CodeRecord,
    request: &CodeExchange,
    client: &Client,
    proof: Option<&Proof>,
    terms: &Terms<'_>,
) -> Result<Granted, GrantError> {
    if !client.may_use(GrantType::AuthorizationCode) {
        return Err(GrantError::NotRegistered);
    }
    // RFC 6749 4.1.3: the code was issued to this client. Asked first, so that another client cannot have the
    // tokens revoked.
    if record.client != client.id {
        return Err(GrantError::WrongClient);
    }
    // RFC 6749 4.1.2: a code used twice is denied, and its tokens are revoked. Asked before the expiry, since
    // the copy may be tried late, and before the verifier, since a thief may have the code alone.
    if record.used_at.is_some() {
        return Err(GrantError::Replay);
    }
    // RFC 9700 4.14.2, RFC 7009 2.1: who ended an authorization ended it, whether or not its code was exchanged by then.
    if record.revoked_at.is_some() {
        return Err(GrantError::Revoked);
    }
    // RFC 6749 4.1.2: a code is short-lived.
    if terms.now >= record.expires_at {
        return Err(GrantError::Expired);
    }
    // RFC 6749 4.1.3: the redirect URIs are identical.
    if record.redirect_uri != request.redirect_uri {
        return Err(GrantError::WrongRedirect);
    }
    dpop::holds(record.key.as_ref(), proof)?;
    // RFC 7636 4.6.
    if !record.challenge.is_met_by(&request.verifier) {
        return Err(GrantError::WrongVerifier);
    }
    let ends_at = terms.lifetimes.end_of_grant(record.auth_time, &record.scope);
    Ok(Granted {
        user: record.user,
        scope: record.scope.clone(),
        refresh_scope: client.may_use(GrantType::RefreshToken).then(|| record.scope.clone()),
        audience: narrowed(&record.audience, &request.audience, terms)?,
        ends_at,
        nonce: record.nonce.clone(),
        auth_time: record.auth_time,
    })
}

/// Whether a refresh token may be exchanged for its successor. The client is authenticated already.
pub fn rotate_refresh(
    record: &RefreshRecord,
    request: &RefreshExchange,
    client: &Client,
    proof: Option<&Proof>,
    terms: &Terms<'_>,
) -> Result<Granted, GrantError> {
    if !client.may_use(GrantType::RefreshToken) {
        return Err(GrantError::NotRegistered);
    }
    // RFC 6749 6: the token was issued to this client.
    if record.client != client.id {
        return Err(GrantError::WrongClient);
    }
    // RFC 9700 4.14.2: a rotated token that comes again means that two parties hold it. Asked before the
    // expiry and the revocation, so that every reuse is noticed.
    if record.rotated_at.is_some() {
        return Err(GrantError::Replay);
    }
    if record.revoked_at.is_some() {
        return Err(GrantError::Revoked);
    }
    // OWASP ASVS 5.0 10.4.8: an authorization ends at some time, however often it was renewed.
    let ends_at = terms.lifetimes.end_of_grant(record.auth_time, &record.scope);
    if terms.now >= record.expires_at || terms.now >= ends_at {
        return Err(GrantError::Expired);
    }
    // RFC 9449 5: the refresh token of a public client is worth nothing without its key.
    dpop::holds(record.key.as_ref(), proof)?;
    let scope = match &request.scope {
        None => record.scope.clone(),
        // RFC 6749 6: no scope that was not granted originally.
        Some(asked) if asked.is_subset(&record.scope) => asked.clone(),
        Some(_) => return Err(GrantError::ScopeTooWide),
    };
    Ok(Granted {
        user: record.user,
        scope,
        refresh_scope: Some(record.scope.clone()),
        audience: narrowed(&record.audience, &request.audience, terms)?,
        ends_at,
        // OpenID Connect Core 12.2: an id_token from a refresh should have no nonce.
        nonce: None,
        auth_time: record.auth_time,
    })
}

/// What the access token is for (RFC 8707 2.2).
fn narrowed(granted: &Audience, asked: &Audience, terms: &Terms<'_>) -> Result<Audience, GrantError> {
    granted.narrowed(asked, terms.site_url).ok_or(GrantError::WrongTarget)
}

/// What a client may have by its own credentials (RFC 6749 4.4). The client is authenticated already.
///
/// There is never a refresh token (RFC 6749 4.4.3), so `offline_access` has no meaning. Without a scope parameter the client
/// has all that it is registered for.
pub fn client_credentials(client: &Client, asked: Option<&Scope>) -> Result<Scope, GrantError> {
    // RFC 6749 4.4: only for confidential clients.
    if matches!(client.kind, ClientKind::Public) || !client.may_use(GrantType::ClientCredentials) {
        return Err(GrantError::NotRegistered);
    }
    let scope = client.grantable(asked, GrantType::ClientCredentials).map_err(|_| GrantError::NoScope)?;
    let scope = scope.filter(|token| token != OFFLINE_ACCESS && token != ONLINE_ACCESS);
    if scope.is_empty() { Err(GrantError::NoScope) } else { Ok(scope) }
}

#[cfg(test)]
mod tests;
