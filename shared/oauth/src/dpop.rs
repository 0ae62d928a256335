//! Tokens that are bound to a key of the client: `DPoP` (RFC 9449).
//!
//! A proof says that its sender holds the key now, for this method and URL. There are no nonces of the server's
//! (RFC 9449 8 leaves them to it): a proof is good for a minute, and once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::grant::GrantError;
use crate::keys::{Algorithm, KeySet};
use crate::token::{Secret, TokenHash, sha256};

/// The value of `typ` in a proof (RFC 9449 4.2).
const TYPE: &str = "dpop+jwt";
/// Longer than any proof.
const MAX_CHARACTERS: usize = 8 * 1024;
/// Longer than any `jti`.
const MAX_ID: usize = 512;
/// For how long a proof is good (RFC 9449 11.1).
const LIFETIME: SignedDuration = SignedDuration::from_secs(60);
/// How far the client's clock may be ahead of ours.
const CLOCKS: SignedDuration = SignedDuration::from_secs(10);

/// The thumbprint of a public key (RFC 7638, SHA-256): 43 characters of base64url. It is no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbprint(String);

impl Thumbprint {
    /// Reads what `dpop_jkt` (RFC 9449 10) or the database holds.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hash = URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
        is_hash.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a proof proves nothing. For tests and the log; the client only learns that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a proof of RFC 9449 4.2, or by an algorithm that is not offered.
    #[error("the proof is malformed")]
    Malformed,
    /// The key is private, or of no kind that is offered.
    #[error("the key of the proof is not usable")]
    Key,
    /// Another method or URL.
    #[error("the proof is for another request")]
    WrongRequest,
    /// Too old, or from the future.
    #[error("the proof is not of this time")]
    WrongTime,
    /// Another access token.
    #[error("the proof is for another access token")]
    WrongToken,
    /// The key did not make the signature.
    #[error("the signature of the proof is not by its key")]
    WrongSignature,
}

/// The request that a proof must be for.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// The method.
    pub method: &'a str,
    /// The URL, without query and fragment.
    pub url: &'a str,
    /// The access token that came with it, at a resource.
    pub access_token: Option<&'a Secret>,
    /// The time.
    pub now: Timestamp,
}

/// What a good proof shows. It counts only when its id was not used before: keep the id until the proof expires.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Proof {
    /// The key.
    pub key: Thumbprint,
    /// The hash of the `jti`, which is unique for the key.
    pub id: TokenHash,
    /// Until when the id must be kept.
    pub expires_at: Timestamp,
}

/// The header of RFC 9449 4.2. `crit` names extensions that must be understood; we know none.
#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: String,
    jwk: Value,
    crit: Option<serde::de::IgnoredAny>,
}

/// The claims of RFC 9449 4.2. A claim that comes twice is an error.
#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: i64,
    ath: Option<String>,
}

/// Checks a proof (RFC 9449 4.3). That there is one header only, and that the id is new, is for the caller.
pub fn verify(jwt: &str, presented: &Presented<'_>) -> Result<Proof, ProofError> {
    let (message, signature) = jwt.rsplit_once('.').ok_or(ProofError::Malformed)?;
    let (header, claims) = message.split_once('.').ok_or(ProofError::Malformed)?;
    if jwt.len() > MAX_CHARACTERS || claims.contains('.') {
        return Err(ProofError::Malformed);
    }
    let header: Header = part(header)?;
    let claims: Claims = part(claims)?;
    // RFC 9449 4.3, 4 and 5: the type is explicit, and the algorithm is asymmetric and offered.
    let algorithm = Algorithm::parse(&header.alg).ok_or(ProofError::Malformed)?;
    if header.typ != TYPE || header.crit.is_some() || claims.jti.is_empty() || claims.jti.len() > MAX_ID {
        return Err(ProofError::Malformed);
    }
    // RFC 9449 4.3, 7: no private key.
    let key = KeySet::from_value(&json!({ "keys": [header.jwk] })).map_err(|_| ProofError::Key)?;
    let thumbprint = key.thumbprint().and_then(|text| Thumbprint::parse(&text)).ok_or(ProofError::Key)?;
    // RFC 9449 4.3, 6.
    if !key.verifies(algorithm, None, message, signature) {
        return Err(ProofError::WrongSignature);
    }
    check(&claims, presented)?;
    let expires_at = Timestamp::from_second(claims.iat).map_err(|_| ProofError::WrongTime)?;
    let expires_at = expires_at.checked_add(LIFETIME).map_err(|_| ProofError::WrongTime)?;
    let id = TokenHash::of(&format!("{}.{}", thumbprint.as_str(), claims.jti));
    Ok(Proof { key: thumbprint, id, expires_at })
}

/// RFC 9449 4.3, 8, 9, 11 and 12.
fn check(claims: &Claims, presented: &Presented<'_>) -> Result<(), ProofError> {
    if claims.htm != presented.method || !is_same_url(&claims.htu, presented.url) {
        return Err(ProofError::WrongRequest);
    }
    let issued = Timestamp::from_second(claims.iat).map_err(|_| ProofError::WrongTime)?;
    let age = presented.now.duration_since(issued);
    if age >= LIFETIME || age < -CLOCKS {
        return Err(ProofError::WrongTime);
    }
    let expected = presented.access_token.map(|token| URL_SAFE_NO_PAD.encode(sha256(token.expose().as_bytes())));
    // At the token endpoint there is no access token to name.
    if expected.is_some() && claims.ath != expected {
        return Err(ProofError::WrongToken);
    }
    Ok(())
}

/// Whether `htu` is the URL of the request: query and fragment do not count, nor does the case of scheme and host (RFC 9449
/// 4.3, RFC 3986 6.2.2.1).
fn is_same_url(htu: &str, url: &str) -> bool {
    let bare = htu.split(['?', '#']).next().unwrap_or_default();
    let split = |text: &str| {
        let (scheme, rest) = text.split_once("://")?;
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(at)?;
        Some((scheme.to_ascii_lowercase(), authority.to_ascii_lowercase(), path.to_owned()))
    };
    split(bare).is_some_and(|parts| split(url) == Some(parts))
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, ProofError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ProofError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| ProofError::Malformed)
}

/// Whether a code or a refresh token that is bound to a key comes with a proof by it (RFC 9449 5 and 10). What is not bound
/// comes with any proof, or none.
pub fn holds(bound: Option<&Thumbprint>, proof: Option<&Proof>) -> Result<(), GrantError> {
    match (bound, proof) {
        (Some(key), Some(proof)) if proof.key == *key => Ok(()),
        (Some(_), _) => Err(GrantError::WrongKey),
        (None, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
