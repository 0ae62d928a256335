//! The key that signs `id_token`s, and its public half as a JSON Web Key Set (RFC 7517).

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::RandomError;
use crate::id_token::IdTokenHint;
use crate::token::Secret;

/// A signing key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// Not an RSA private key of 2048 to 8192 bits in PEM.
    #[error("the signing key is not an RSA private key of 2048 bits or more in PEM")]
    Key,
    /// Signing failed.
    #[error("signing failed")]
    Sign,
}

/// An RSA key with what is derived from it once.
pub struct SigningKey {
    key: EncodingKey,
    jwk: PublicJwk,
}

impl SigningKey {
    /// Reads a private key in PEM, PKCS#8 or PKCS#1.
    pub fn from_pem(pem: &SecretString) -> Result<Self, SigningError> {
        let key = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes()).map_err(|_| SigningError::Key)?;
        let jwk = Jwk::from_encoding_key(&key, Algorithm::RS256).map_err(|_| SigningError::Key)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| SigningError::Key)?;
        let AlgorithmParameters::RSA(public) = jwk.algorithm else {
            return Err(SigningError::Key);
        };
        let jwk = PublicJwk { alg: "RS256", r#use: "sig", kid, kty: "RSA", n: public.n, e: public.e };
        Ok(Self { key, jwk })
    }

    /// The key id: the thumbprint of the public key (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.jwk.kid
    }

    /// The document at `jwks_uri`.
    #[must_use]
    pub fn jwks(&self) -> Jwks<'_> {
        Jwks { keys: [&self.jwk] }
    }

    /// What an `id_token` says that this key signed for this issuer, whether it expired or not: it is a hint about who signed
    /// in, not a proof (OpenID Connect RP-Initiated Logout 1.0 section 4).
    #[must_use]
    pub fn verify_hint(&self, jwt: &str, issuer: &str) -> Option<IdTokenHint> {
        let key = DecodingKey::from_rsa_components(&self.jwk.n, &self.jwk.e).ok()?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["iss", "aud", "sub"]);
        validation.validate_exp = false;
        validation.validate_aud = false;
        jsonwebtoken::decode(jwt.as_bytes(), &key, &validation).ok().map(|token| token.claims)
    }

    /// Signs claims as a JWT with RS256.
    pub fn sign(&self, claims: &impl Serialize) -> Result<Secret, SigningError> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.jwk.kid.clone());
        let jwt = Zeroizing::new(jsonwebtoken::encode(&header, claims, &self.key).map_err(|_| SigningError::Sign)?);
        Ok(Secret::presented(&jwt))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.jwk.kid).finish_non_exhaustive()
    }
}

/// A JSON Web Key Set (RFC 7517 5).
#[derive(Debug, Serialize)]
pub struct Jwks<'a> {
    keys: [&'a PublicJwk; 1],
}

/// The public half of an RSA key (RFC 7517 4, RFC 7518 6.3.1).
#[derive(Debug, Serialize)]
struct PublicJwk {
    alg: &'static str,
    r#use: &'static str,
    kid: String,
    kty: &'static str,
    n: String,
    e: String,
}

/// Makes a new RSA key of 2048 bits, as PKCS#8 in PEM (RFC 7468 10).
pub fn generate_rsa_key() -> Result<SecretString, RandomError> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| RandomError)?;
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
