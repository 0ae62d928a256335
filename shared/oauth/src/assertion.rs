//! Signed client assertions, `private_key_jwt` (RFC 7521, RFC 7523, OpenID Connect Core 9, SMART Backend Services).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::discovery::Endpoints;
use crate::keys::{Algorithm, KeySet};
use crate::token::TokenHash;

/// The value of `client_assertion_type` (RFC 7523 2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Longer than any assertion that holds what it needs.
const MAX_CHARACTERS: usize = 8 * 1024;
/// Longer than any `jti` or `kid`.
const MAX_ID: usize = 512;
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
pub struct Assertion {
    message: String,
    signature: String,
    algorithm: Algorithm,
    kid: Option<String>,
    claims: Claims,
}

impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Assertion(..)")
    }
}

/// The header (RFC 7515 4.1). `crit` names extensions that must be understood; we know none.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

/// The claims of RFC 7523 3. A claim that comes twice is an error.
#[derive(Clone, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    jti: String,
}

/// `aud`: one text, or a list (RFC 7519 4.1.3).
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    /// The only audience, if there is just one.
    fn sole(&self) -> Option<&str> {
        match self {
            Self::One(one) => Some(one),
            Self::Many(many) => match many.as_slice() {
                [one] => Some(one),
                _ => None,
            },
        }
    }
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
        let malformed = AssertionError::Malformed;
        if jwt.len() > MAX_CHARACTERS {
            return Err(malformed);
        }
        let (message, signature) = jwt.rsplit_once('.').ok_or(malformed)?;
        let (header, claims) = message.split_once('.').ok_or(malformed)?;
        let header: Header = decoded(header)?;
        let claims: Claims = decoded(claims)?;
        let is_id = |text: &str| !text.is_empty() && text.len() <= MAX_ID;
        if header.crit.is_some() || !is_id(&claims.jti) || !header.kid.as_deref().is_none_or(is_id) {
            return Err(malformed);
        }
        Ok(Self {
            message: message.to_owned(),
            signature: signature.to_owned(),
            algorithm: Algorithm::parse(&header.alg).ok_or(malformed)?,
            kid: header.kid,
            claims,
        })
    }

    /// The client that the assertion claims to be of: look it up.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.claims.sub
    }

    /// The id of the key that the assertion names.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
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
        let claims = &self.claims;
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
        if !keys.verifies(self.algorithm, self.kid(), &self.message, &self.signature) {
            return Err(AssertionError::WrongSignature);
        }
        Ok(SingleUse { id: TokenHash::of(&claims.jti), expires_at })
    }
}

fn decoded<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, AssertionError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| AssertionError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| AssertionError::Malformed)
}

#[cfg(test)]
mod tests;
