//! This service provider's own key.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, SerialNumber, date_time_ymd};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// The identifier of the algorithm (RFC 9231 2.3.2).
pub(crate) const ALGORITHM: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

/// The key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// Not an RSA private key of 2048 bits or more, as PKCS#8 in PEM.
    #[error("the SAML key is not an RSA private key of 2048 bits or more as PKCS#8 in PEM")]
    Key,
    /// Signing failed.
    #[error("signing failed")]
    Sign,
}

/// An RSA key with which requests are signed.
pub struct SigningKey {
    pair: RsaKeyPair,
    certified: KeyPair,
}

impl SigningKey {
    /// Reads a private key as PKCS#8 in PEM.
    pub fn from_pem(pem: &SecretString) -> Result<Self, SigningError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose_secret().as_bytes()).map_err(|_| SigningError::Key)?;
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| SigningError::Key)?;
        if pair.public_modulus_len() < 2048 / 8 {
            return Err(SigningError::Key);
        }
        let certified = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256).map_err(|_| SigningError::Key)?;
        Ok(Self { pair, certified })
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 over a message, in base64.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<String, SigningError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| SigningError::Sign)?;
        Ok(STANDARD.encode(signature))
    }

    /// A certificate that carries the public key in the metadata, in base64. Nothing else in it counts (Metadata
    /// Interoperability Profile 2.5.1), so it is made from the key alone: the same key gives the same certificate.
    pub(crate) fn certificate(&self) -> Result<String, SigningError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "SAML service provider");
        params.serial_number = Some(SerialNumber::from(1_u64));
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2126, 1, 1);
        let certificate = params.self_signed(&self.certified).map_err(|_| SigningError::Sign)?;
        Ok(STANDARD.encode(certificate.der()))
    }

    /// The public key, as the other side sees it.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}
