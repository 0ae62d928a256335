//! The identity provider's keys, and the algorithms that they may be used with.

use crate::Refusal;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use kryptering::{EcCurve, HashAlgorithm, SignatureAlgorithm, traits::Verifier};
use std::sync::Arc;
use x509_cert::{Certificate, der::Decode};

/// A signature algorithm that is accepted (RFC 9231). SHA-1 is not among them, nor is anything with a shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    RsaSha256,
    RsaSha384,
    RsaSha512,
    EcdsaP256Sha256,
    EcdsaP384Sha384,
}

impl Algorithm {
    /// The algorithm with this identifier.
    pub(crate) fn from_uri(uri: &str) -> Result<Self, Refusal> {
        match uri {
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" => Ok(Self::RsaSha256),
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384" => Ok(Self::RsaSha384),
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512" => Ok(Self::RsaSha512),
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256" => Ok(Self::EcdsaP256Sha256),
            "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384" => Ok(Self::EcdsaP384Sha384),
            _ => Err(Refusal::Algorithm),
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::RsaSha256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::RsaSha384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::RsaSha512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::EcdsaP256Sha256 => &ECDSA_P256_SHA256_FIXED,
            Self::EcdsaP384Sha384 => &ECDSA_P384_SHA384_FIXED,
        }
    }
}

/// Whether a digest algorithm of a reference is accepted.
pub(crate) fn is_accepted_digest(uri: &str) -> bool {
    matches!(
        uri,
        "http://www.w3.org/2001/04/xmlenc#sha256"
            | "http://www.w3.org/2001/04/xmldsig-more#sha384"
            | "http://www.w3.org/2001/04/xmlenc#sha512"
    )
}

/// The public keys with which an identity provider signs: one, or two while it changes them. They come from its
/// metadata and from nowhere else.
#[derive(Clone, Debug)]
pub struct TrustedKeys(Arc<[Vec<u8>]>);

impl TrustedKeys {
    /// The keys of certificates in DER. Their validity and their issuer do not count: the metadata vouches for the key
    /// (Metadata Interoperability Profile 2.5.1).
    pub(crate) fn from_certificates<'a>(certificates: impl Iterator<Item = &'a [u8]>) -> Result<Self, Refusal> {
        let keys: Vec<Vec<u8>> = certificates
            .map(|der| {
                let certificate = Certificate::from_der(der).map_err(|_| Refusal::Malformed)?;
                let key = certificate.tbs_certificate.subject_public_key_info.subject_public_key;
                Ok(key.raw_bytes().to_vec())
            })
            .collect::<Result<_, Refusal>>()?;
        if keys.is_empty() { Err(Refusal::Malformed) } else { Ok(Self(keys.into())) }
    }

    /// Whether one of the keys made this signature.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.0
            .iter()
            .any(|key| UnparsedPublicKey::new(algorithm.verification(), key).verify(message, signature).is_ok())
    }

    /// The keys as the XML signature library asks for them, for one algorithm.
    pub(crate) fn verifier(&self, algorithm: Algorithm) -> Box<dyn Verifier> {
        Box::new(KeyVerifier { keys: self.clone(), algorithm })
    }
}

struct KeyVerifier {
    keys: TrustedKeys,
    algorithm: Algorithm,
}

impl Verifier for KeyVerifier {
    fn algorithm(&self) -> SignatureAlgorithm {
        match self.algorithm {
            Algorithm::RsaSha256 => SignatureAlgorithm::RsaPkcs1v15(HashAlgorithm::Sha256),
            Algorithm::RsaSha384 => SignatureAlgorithm::RsaPkcs1v15(HashAlgorithm::Sha384),
            Algorithm::RsaSha512 => SignatureAlgorithm::RsaPkcs1v15(HashAlgorithm::Sha512),
            Algorithm::EcdsaP256Sha256 => SignatureAlgorithm::Ecdsa(EcCurve::P256, HashAlgorithm::Sha256),
            Algorithm::EcdsaP384Sha384 => SignatureAlgorithm::Ecdsa(EcCurve::P384, HashAlgorithm::Sha384),
        }
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> kryptering::Result<bool> {
        Ok(self.keys.verify(self.algorithm, data, signature))
    }
}
