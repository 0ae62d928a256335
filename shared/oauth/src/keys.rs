//! The public keys of a client: a JSON Web Key Set (RFC 7517), and which of them may check a signature.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{DecodingKey, crypto};
use serde_json::Value;

/// More keys than a client rotates through.
const MAX_KEYS: usize = 20;
/// The least and the most bytes of an RSA modulus: 2048 bits (RFC 7518 3.3) to 8192.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;
/// Members of a private or a symmetric key (RFC 7518 6.2.2, 6.3.2, 6.4.1).
const SECRET_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// The signature algorithms of assertions: those of SMART Backend Services and their smaller siblings (RFC 7518 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
}

impl Algorithm {
    /// Every algorithm, as the metadata lists them.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Rs384, Self::Es256, Self::Es384];

    /// The value of `alg`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }

    /// The algorithm of that name. `none` and the symmetric ones have none here (RFC 8725 3.1).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text)
    }

    const fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Rs384 => jsonwebtoken::Algorithm::RS384,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
        }
    }

    /// Whether a key of this type and curve can make such a signature.
    const fn fits(self, parameters: &AlgorithmParameters) -> bool {
        match (self, parameters) {
            (Self::Rs256 | Self::Rs384, AlgorithmParameters::RSA(_)) => true,
            (Self::Es256, AlgorithmParameters::EllipticCurve(key)) => matches!(key.curve, EllipticCurve::P256),
            (Self::Es384, AlgorithmParameters::EllipticCurve(key)) => matches!(key.curve, EllipticCurve::P384),
            _ => false,
        }
    }
}

/// A text is not a usable key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not `{"keys": [..]}` with 1 to 20 keys.
    #[error("it is not a JSON Web Key Set of 1 to 20 keys")]
    Malformed,
    /// A private or a symmetric key. Whoever read it can sign as the client.
    #[error("a key is private; register public keys only")]
    Private,
    /// No key that may check a signature by one of the algorithms.
    #[error("no key is an RSA key of 2048 bits or more, or an elliptic curve key on P-256 or P-384, for signatures")]
    NoUsableKey,
}

/// The usable public keys of a client.
#[derive(Debug, Clone)]
pub struct KeySet(Vec<Jwk>);

impl KeySet {
    /// Reads a key set. Keys of types that we do not know are left out (RFC 7517 5).
    pub fn parse(text: &str) -> Result<Self, KeySetError> {
        Self::from_value(&serde_json::from_str(text).map_err(|_| KeySetError::Malformed)?)
    }

    /// As [`KeySet::parse`], of JSON that is read already.
    pub fn from_value(set: &Value) -> Result<Self, KeySetError> {
        let keys = set.get("keys").and_then(Value::as_array).ok_or(KeySetError::Malformed)?;
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(KeySetError::Malformed);
        }
        if keys.iter().any(|key| SECRET_MEMBERS.iter().any(|member| key.get(member).is_some())) {
            return Err(KeySetError::Private);
        }
        let usable: Vec<Jwk> =
            keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).filter(is_usable).collect();
        if usable.is_empty() { Err(KeySetError::NoUsableKey) } else { Ok(Self(usable)) }
    }

    /// Whether a key of the set has this id.
    #[must_use]
    pub fn has(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.common.key_id.as_deref() == Some(kid))
    }

    /// Whether one of the keys made this signature. A `kid` names the keys that count; without one all do.
    #[must_use]
    pub fn verifies(&self, algorithm: Algorithm, kid: Option<&str>, message: &str, signature: &str) -> bool {
        self.0
            .iter()
            .filter(|key| kid.is_none() || key.common.key_id.as_deref() == kid)
            .filter(|key| algorithm.fits(&key.algorithm))
            // RFC 7517 4.4: a key that names an algorithm is for that one.
            .filter(|key| key.common.key_algorithm.is_none_or(|named| named.to_string() == algorithm.as_str()))
            .filter_map(|key| DecodingKey::from_jwk(key).ok())
            .any(|key| crypto::verify(signature, message.as_bytes(), &key, algorithm.of_library()).unwrap_or(false))
    }
}

fn is_usable(key: &Jwk) -> bool {
    let for_signatures = key.common.public_key_use.as_ref().is_none_or(|use_| *use_ == PublicKeyUse::Signature);
    for_signatures
        && Algorithm::ALL.iter().any(|algorithm| algorithm.fits(&key.algorithm))
        && DecodingKey::from_jwk(key).is_ok()
        && match &key.algorithm {
            AlgorithmParameters::RSA(rsa) => {
                URL_SAFE_NO_PAD.decode(&rsa.n).is_ok_and(|modulus| MODULUS.contains(&modulus.len()))
            }
            _ => true,
        }
}

#[cfg(test)]
pub(crate) mod tests;
