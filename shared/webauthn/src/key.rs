//! Public keys as authenticators write them (RFC 9052 section 7, RFC 9053, section 5.8.5).

use crate::{Refusal, cbor::Reader};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};

/// The algorithms that are taken, the preferred first: `EdDSA` with Ed25519, ES256, RS256 (RFC 9053, RFC 8812).
pub(crate) const ALGORITHMS: [i64; 3] = [EDDSA, ES256, RS256];

const EDDSA: i64 = -8;
const ES256: i64 = -7;
const RS256: i64 = -257;

/// The lengths that an RSA modulus may have, in bytes: 2,048 to 4,096 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=512;

/// A key by its algorithm.
#[derive(Debug)]
pub(crate) enum PublicKey<'a> {
    Ed25519(&'a [u8]),
    /// The point, not compressed.
    P256(Vec<u8>),
    Rsa(RsaPublicKeyComponents<&'a [u8]>),
}

/// What a key can have, by its labels. The labels -1 to -3 mean something else for each type.
#[derive(Default)]
struct Parts<'a> {
    kind: Option<i64>,
    algorithm: Option<i64>,
    curve: Option<i64>,
    first: Option<&'a [u8]>,
    second: Option<&'a [u8]>,
    third: Option<&'a [u8]>,
}

impl<'a> PublicKey<'a> {
    /// Reads a key. One of an algorithm that is not taken is none, and so is a point that is not on its curve.
    pub(crate) fn parse(cose: &'a [u8]) -> Result<Self, Refusal> {
        let parts = Parts::read(cose).map_err(|_| Refusal::Key)?;
        let key = match parts {
            Parts { kind: Some(1), algorithm: Some(EDDSA), curve: Some(6), second: Some(x), third: None, .. }
                if x.len() == 32 =>
            {
                Self::Ed25519(x)
            }
            Parts {
                kind: Some(2), algorithm: Some(ES256), curve: Some(1), second: Some(x), third: Some(y), ..
            } if x.len() == 32 && y.len() == 32 => Self::P256([&[4], x, y].concat()),
            Parts {
                kind: Some(3),
                algorithm: Some(RS256),
                curve: None,
                first: Some(n),
                second: Some(e),
                third: None,
            } if MODULUS.contains(&n.len()) && e.len() <= 4 => Self::Rsa(RsaPublicKeyComponents { n, e }),
            _ => return Err(Refusal::Key),
        };
        key.is_usable().then_some(key).ok_or(Refusal::Key)
    }

    fn is_usable(&self) -> bool {
        match self {
            Self::Ed25519(x) => ParsedPublicKey::new(&ED25519, x).is_ok(),
            Self::P256(point) => ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).is_ok(),
            // An even number is no modulus, and 1 and even numbers are no exponents.
            Self::Rsa(key) => {
                let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
                key.n.first() != Some(&0) && is_odd(key.n) && is_odd(key.e) && key.e.first() != Some(&0) && key.e != [1]
            }
        }
    }

    /// Whether a signature of a message is by this key (section 6.5.5).
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let verified = match self {
            Self::Ed25519(x) => ParsedPublicKey::new(&ED25519, x).map(|key| key.verify_sig(message, signature)),
            Self::P256(point) => {
                ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).map(|key| key.verify_sig(message, signature))
            }
            Self::Rsa(key) => Ok(key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)),
        };
        match verified {
            Ok(Ok(())) => Ok(()),
            _ => Err(Refusal::Signature),
        }
    }
}

impl<'a> Parts<'a> {
    /// Reads the map. No label may come twice, and nothing may follow.
    fn read(cose: &'a [u8]) -> Result<Self, Refusal> {
        let mut reader = Reader::new(cose);
        let mut parts = Self::default();
        for _ in 0..reader.map()? {
            match reader.integer()? {
                1 => once(&mut parts.kind, reader.integer()?)?,
                3 => once(&mut parts.algorithm, reader.integer()?)?,
                // For RSA the modulus, else the curve.
                -1 if parts.kind == Some(3) => once(&mut parts.first, reader.bytes()?)?,
                -1 => once(&mut parts.curve, reader.integer()?)?,
                -2 => once(&mut parts.second, reader.bytes()?)?,
                -3 => once(&mut parts.third, reader.bytes()?)?,
                _ => return Err(Refusal::Key),
            }
        }
        if reader.position() == cose.len() { Ok(parts) } else { Err(Refusal::Key) }
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Refusal> {
    if place.replace(value).is_none() { Ok(()) } else { Err(Refusal::Key) }
}
