//! Signed client assertions, `private_key_jwt` (RFC 7521, RFC 7523, OpenID Connect Core 9, SMART Backend Services).

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::discovery::Endpoints;
use crate::jws::{Jws, Recipients, is_id};
use crate::keys::KeySet;
use crate::token::TokenHash;

/// The value of `client_assertion_type` (RFC 7523 2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far ahead `exp` may be: SMART Backend Services says five minutes.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// How far the client's clock may be ahead of ours.
const CLOCKS: SignedDuration = SignedDuration::from_secs(30);

/// Why an assertion proves nothing. For tests and the log; the client learns less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// Not a JWT with the claims that are needed, or by an algorithm that is not offered.
    #[error("the assertion is malformed")]
    Malformed,
    /// `iss` or `sub` is not the client.
    #[error("the assertion is not the client's")]
    WrongClient,
    /// It is meant for somebody else.
    #[error("the assertion is for another audience")]
    WrongAudience,
    /// Its time is over.
    #[error("the assertion has expired")]
    Expired,
    /// It is good for longer than it may be.
    #[error("the assertion lives too long")]
    TooLong,
    /// Its time has not come.
    #[error("the assertion is from the future")]
    NotYet,
    /// None of the client's keys made the signature.
    #[error("the signature is not by a key of the client")]
    WrongSignature,
}

/// An assertion as presented. Nothing in it is proved before [`Assertion::verify`].
#[derive(Clone)]
pub struct Assertion(Jws<Claims>);

impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Assertion(..)")
    }
}

/// The claims of RFC 7523 3. A claim that comes twice is an error.
#[derive(Clone, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Recipients,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    jti: String,
}

/// A proved assertion. It counts only when its id was not used before: keep the id until the assertion expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct SingleUse {
    /// The hash of the `jti`.
    pub id: TokenHash,
    /// Until when the id must be kept.
    pub expires_at: Timestamp,
}

impl Assertion {
    /// Reads a compact JWS (RFC 7515 7.1) with the claims of RFC 7523 3.
    pub fn parse(jwt: &str) -> Result<Self, AssertionError> {
        Jws::<Claims>::parse(jwt).filter(|jws| is_id(&jws.claims.jti)).map(Self).ok_or(AssertionError::Malformed)
    }

    /// The client that the assertion claims to be of: look it up.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.claims.sub
    }

    /// The id of the key that the assertion names.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.0.kid()
    }

    /// Whether the client made this assertion, for us, for now.
    ///
    /// The audience is the token endpoint (SMART Backend Services) or the issuer (draft-ietf-oauth-rfc7523bis), and it is
    /// the only one: an assertion that also names another server could have been made for that one.
    pub fn verify(
        &self,
        client_id: &str,
        keys: &KeySet,
        endpoints: &Endpoints,
        now: Timestamp,
    ) -> Result<SingleUse, AssertionError> {
        let claims = &self.0.claims;
        // RFC 7523 3 (1, 2): the issuer and the subject are the client.
        if claims.iss != client_id || claims.sub != client_id {
            return Err(AssertionError::WrongClient);
        }
        // RFC 7523 3 (3).
        let audience = claims.aud.sole().ok_or(AssertionError::WrongAudience)?;
        if audience != endpoints.token() && audience != endpoints.issuer() {
            return Err(AssertionError::WrongAudience);
        }
        // RFC 7523 3 (4 to 6).
        let instant = |second| Timestamp::from_second(second).map_err(|_| AssertionError::Malformed);
        let expires_at = instant(claims.exp)?;
        if now >= expires_at {
            return Err(AssertionError::Expired);
        }
        if expires_at.duration_since(now) > MAX_AHEAD + CLOCKS {
            return Err(AssertionError::TooLong);
        }
        for start in [claims.nbf, claims.iat].into_iter().flatten() {
            if instant(start)?.duration_since(now) > CLOCKS {
                return Err(AssertionError::NotYet);
            }
        }
        // RFC 7523 3 (9).
        if !self.0.is_by(keys) {
            return Err(AssertionError::WrongSignature);
        }
        Ok(SingleUse { id: TokenHash::of(&claims.jti), expires_at })
    }
}

#[cfg(test)]
mod tests;
