//! Keys that sign `id_token`s, and their public halves as a JSON Web Key Set (RFC 7517).

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{self, KeyPair as _, RSA_PKCS1_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::RandomError;
use crate::id_token::IdTokenHint;
use crate::token::{Secret, sha256};

/// A signing key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// Not an RSA private key of 2048 to 8192 bits in PEM.
    #[error("the signing key is not an RSA private key of 2048 bits or more in PEM")]
    Key,
    /// Not the public half of such a key.
    #[error("the public key is not an RSA key of 2048 bits or more")]
    PublicKey,
    /// Signing failed.
    #[error("signing failed")]
    Sign,
    /// A signature that the published key does not verify.
    #[error("the signature is not by the published key")]
    WrongSignature,
}

/// How long a new key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyBits {
    /// 2048 bits.
    B2048,
    /// 3072 bits.
    B3072,
    /// 4096 bits.
    B4096,
}

impl KeyBits {
    /// The length with this number of bits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "2048" => Some(Self::B2048),
            "3072" => Some(Self::B3072),
            "4096" => Some(Self::B4096),
            _ => None,
        }
    }

    const fn of_library(self) -> KeySize {
        match self {
            Self::B2048 => KeySize::Rsa2048,
            Self::B3072 => KeySize::Rsa3072,
            Self::B4096 => KeySize::Rsa4096,
        }
    }
}

/// The public half of an RSA key (RFC 7517 4, RFC 7518 6.3.1), as it is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicKey {
    alg: &'static str,
    r#use: &'static str,
    kid: String,
    kty: &'static str,
    n: String,
    e: String,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` (RFC 5280 4.1), as KMS gives it, or an `RSAPublicKey` (RFC 8017 A.1.1), in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, SigningError> {
        let jwk = Jwk::from_decoding_key(&DecodingKey::from_rsa_der(der), Some(Algorithm::RS256));
        Self::from_jwk(&jwk.map_err(|_| SigningError::PublicKey)?)
    }

    /// From the modulus and the exponent, as they are published.
    pub fn from_components(n: &str, e: &str) -> Result<Self, SigningError> {
        let key = DecodingKey::from_rsa_components(n, e).map_err(|_| SigningError::PublicKey)?;
        let jwk = Jwk::from_decoding_key(&key, Some(Algorithm::RS256)).map_err(|_| SigningError::PublicKey)?;
        Self::from_jwk(&jwk)
    }

    fn from_jwk(jwk: &Jwk) -> Result<Self, SigningError> {
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| SigningError::PublicKey)?;
        let AlgorithmParameters::RSA(public) = &jwk.algorithm else {
            return Err(SigningError::PublicKey);
        };
        let (n, e) = (public.n.clone(), public.e.clone());
        let key = Self { alg: "RS256", r#use: "sig", kid, kty: "RSA", n, e };
        if (2048..=8192).contains(&key.bits()) { Ok(key) } else { Err(SigningError::PublicKey) }
    }

    /// The key id: the thumbprint of the key (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The modulus in base64url.
    #[must_use]
    pub fn modulus(&self) -> &str {
        &self.n
    }

    /// The exponent in base64url.
    #[must_use]
    pub fn exponent(&self) -> &str {
        &self.e
    }

    /// The length of the modulus in bits, up to a byte.
    #[must_use]
    pub fn bits(&self) -> usize {
        URL_SAFE_NO_PAD.decode(&self.n).map_or(0, |modulus| modulus.len() * 8)
    }

    /// Whether the private half made this signature of a text.
    fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let key = RsaPublicKeyComponents { n: part(&self.n), e: part(&self.e) };
        key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, text.as_bytes(), signature).is_ok()
    }

    /// What an `id_token` says that this key signed for this issuer, whether it expired or not: it is a hint about who signed
    /// in, not a proof (OpenID Connect RP-Initiated Logout 1.0 section 4).
    #[must_use]
    pub fn verify_hint(&self, jwt: &str, issuer: &str) -> Option<IdTokenHint> {
        let key = DecodingKey::from_rsa_components(&self.n, &self.e).ok()?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["iss", "aud", "sub"]);
        validation.validate_exp = false;
        validation.validate_aud = false;
        jsonwebtoken::decode(jwt.as_bytes(), &key, &validation).ok().map(|token| token.claims)
    }
}

/// A private RSA key in this process.
pub struct SigningKey {
    pair: KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// Reads a private key in PEM, PKCS#8 or PKCS#1.
    pub fn from_pem(pem: &SecretString) -> Result<Self, SigningError> {
        let key = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes()).map_err(|_| SigningError::Key)?;
        let pair = KeyPair::from_der(key.as_bytes()).map_err(|_| SigningError::Key)?;
        let public = PublicKey::from_der(pair.public_key().as_ref()).map_err(|_| SigningError::Key)?;
        Ok(Self { pair, public })
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The signature of a token: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 3.3).
    pub fn sign(&self, token: &UnsignedToken) -> Result<Vec<u8>, SigningError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let text = token.text.as_bytes();
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)
            .map_err(|_| SigningError::Sign)?;
        Ok(signature)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.public.kid).finish_non_exhaustive()
    }
}

/// A JWT with RS256 that waits for its signature, wherever the key is.
pub struct UnsignedToken {
    text: Zeroizing<String>,
}

impl UnsignedToken {
    /// Puts claims under the name of the key that is to sign them (RFC 7515 4.1.4).
    pub fn new(key: &PublicKey, claims: &impl Serialize) -> Result<Self, SigningError> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(key.kid.clone());
        let part = |json: serde_json::Result<Vec<u8>>| {
            json.map(|bytes| URL_SAFE_NO_PAD.encode(Zeroizing::new(bytes))).map_err(|_| SigningError::Sign)
        };
        let (header, claims) = (part(serde_json::to_vec(&header))?, part(serde_json::to_vec(claims))?);
        Ok(Self { text: Zeroizing::new(format!("{header}.{claims}")) })
    }

    /// The SHA-256 of what is to be signed.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        sha256(self.text.as_bytes())
    }

    /// The token with its signature. One that does not verify with the published key is never given out.
    pub fn signed(&self, key: &PublicKey, signature: &[u8]) -> Result<Secret, SigningError> {
        if !key.verifies(&self.text, signature) {
            return Err(SigningError::WrongSignature);
        }
        let token = Zeroizing::new(format!("{}.{}", self.text.as_str(), URL_SAFE_NO_PAD.encode(signature)));
        Ok(Secret::presented(&token))
    }
}

/// A JSON Web Key Set (RFC 7517 5).
#[derive(Debug, Serialize)]
pub struct Jwks<'a> {
    /// The keys.
    pub keys: Vec<&'a PublicKey>,
}

/// Makes a new RSA key, as PKCS#8 in PEM (RFC 7468 10).
pub fn generate_rsa_key(bits: KeyBits) -> Result<SecretString, RandomError> {
    let pair = KeyPair::generate(bits.of_library()).map_err(|_| RandomError)?;
    let der: Pkcs8V1Der<'static> = pair.as_der().map_err(|_| RandomError)?;
    let encoded = Zeroizing::new(STANDARD.encode(der.as_ref()));
    let mut pem = String::with_capacity(encoded.len() + encoded.len() / 32 + 64);
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = encoded.as_str();
    while let Some((line, after)) = rest.split_at_checked(64) {
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        pem.push_str(rest);
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Ok(pem.into())
}

#[cfg(test)]
mod tests;
