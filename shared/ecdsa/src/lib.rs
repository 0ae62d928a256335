//! Signatures that anybody can check for years: ECDSA over P-384 with SHA-384 (FIPS 186-5), as the audit's seals and the manifests
//! of backups have them. AWS KMS makes the same ones.

use aws_lc_rs::{
    digest::{SHA256, digest},
    encoding::AsDer as _,
    rand::SystemRandom,
    signature::{
        ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt::Write as _;

const PRIVATE: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";

/// A text or a key is not an ECDSA key on P-384, or cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not an ECDSA key on P-384")]
pub struct NoKey;

/// A key that signs.
pub struct PrivateKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl PrivateKey {
    /// A new one, as PKCS #8 in PEM.
    pub fn generate() -> Result<SecretString, NoKey> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).map_err(|_| NoKey)?;
        Ok(pem(PRIVATE, pair.to_pkcs8v1().map_err(|_| NoKey)?.as_ref()).into())
    }

    /// Reads one.
    pub fn from_pem(text: &SecretString) -> Result<Self, NoKey> {
        let der = der(PRIVATE, text.expose_secret()).ok_or(NoKey)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &der).map_err(|_| NoKey)?;
        let public = PublicKey::from_der(pair.public_key().as_der().map_err(|_| NoKey)?.as_ref().to_vec());
        Ok(Self { pair, public })
    }

    /// Its public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A signature, in DER.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, NoKey> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| NoKey)?;
        Ok(signature.as_ref().to_vec())
    }
}

/// The public half of a key that signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    /// From a `SubjectPublicKeyInfo` in DER (RFC 5280 section 4.1), as a key service gives it.
    #[must_use]
    pub const fn from_der(der: Vec<u8>) -> Self {
        Self(der)
    }

    /// From a file.
    pub fn from_pem(text: &str) -> Result<Self, NoKey> {
        der(PUBLIC, text).map(Self).ok_or(NoKey)
    }

    /// For a file.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem(PUBLIC, &self.0)
    }

    /// What tells it from others: the SHA-256 of its DER.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, &self.0).as_ref());
        id
    }

    /// Whether its other half signed this.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, &self.0).verify(message, signature).is_ok()
    }
}

/// DER as PEM (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let encoded = STANDARD.encode(der);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at_checked(64).unwrap_or((rest, ""));
        // Writing to a String does not fail.
        let _ = writeln!(text, "{line}");
        rest = more;
    }
    let _ = writeln!(text, "-----END {label}-----");
    text
}

/// The DER in a PEM with this label.
fn der(label: &str, pem: &str) -> Option<Vec<u8>> {
    let body = pem.trim().strip_prefix(&format!("-----BEGIN {label}-----"))?;
    let body = body.strip_suffix(&format!("-----END {label}-----"))?;
    let encoded: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(encoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PrivateKey {
        PrivateKey::from_pem(&PrivateKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_signature_is_of_one_message_by_one_key() {
        let (key, other) = (key(), key());
        let signature = key.sign(b"one").unwrap();
        assert!(key.public().verifies(b"one", &signature));
        assert!(!key.public().verifies(b"other", &signature));
        assert!(!other.public().verifies(b"one", &signature));
        assert!(!PublicKey::from_der(vec![1, 2, 3]).verifies(b"one", &signature));
        assert_ne!(key.public().id(), other.public().id());
    }

    #[test]
    fn a_key_in_pem_is_read_again() {
        let key = key();
        let text = key.public().to_pem();
        assert!(text.lines().all(|line| line.len() <= 64), "{text}");
        assert_eq!(PublicKey::from_pem(&text), Ok(key.public().clone()));
        for wrong in
            ["", "x", "-----BEGIN PUBLIC KEY-----\n?\n-----END PUBLIC KEY-----", &text.replace("PUBLIC", "RSA")]
        {
            assert_eq!(PublicKey::from_pem(wrong), Err(NoKey), "{wrong}");
            assert!(PrivateKey::from_pem(&wrong.to_owned().into()).is_err(), "{wrong}");
        }
    }
}
