//! The key of a patient, and the key that wraps the keys of all.
//!
//! A wrapped key is its version (1), a nonce, and the key encrypted with AES-256-GCM; the tag covers the key's id, too.

use crate::PayloadError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use secrecy::zeroize::Zeroizing;
use std::{fmt, str::FromStr, sync::Arc};

/// The version of wrapped keys that is written.
const VERSION: u8 = 1;

/// What the id of a key is bound to its wrapping by.
const USE: &[u8] = b"jhe payload key";

/// The id of a patient's key: a random UUID, which says nothing of the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; Self::LENGTH]);

impl KeyId {
    /// Its length in bytes.
    pub const LENGTH: usize = 16;

    /// From the bytes of a UUID.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes of the UUID.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

/// As 32 hexadecimal digits.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for KeyId {
    type Err = PayloadError;

    fn from_str(text: &str) -> Result<Self, PayloadError> {
        if text.len() != 2 * Self::LENGTH || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(PayloadError::Shape);
        }
        let digits = u128::from_str_radix(text, 16).map_err(|_| PayloadError::Shape)?;
        Ok(Self(digits.to_be_bytes()))
    }
}

/// The key of a patient. Its bytes are wiped with it.
pub struct PatientKey(RandomizedNonceKey);

impl fmt::Debug for PatientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientKey(..)")
    }
}

impl PatientKey {
    /// From its bytes.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, PayloadError> {
        cipher(bytes).map(Self)
    }

    /// Encrypts in place, with the tag at the end. Gives the nonce.
    pub(crate) fn seal(&self, covered: &[u8], text: &mut Vec<u8>) -> Result<[u8; NONCE_LEN], PayloadError> {
        seal(&self.0, covered, text)
    }

    /// Decrypts in place. Gives the length of the text.
    pub(crate) fn open(&self, nonce: &[u8], covered: &[u8], sealed: &mut [u8]) -> Result<usize, PayloadError> {
        open(&self.0, nonce, covered, sealed)
    }
}

/// What there is of a patient's key.
#[derive(Clone, Debug)]
pub enum Held {
    /// The key.
    Key(Arc<PatientKey>),
    /// It was destroyed: what it encrypted is gone for good.
    Destroyed,
    /// There is none: it was not made yet, or the vault is not the right one.
    Missing,
}

/// The key that the keys of patients are wrapped with.
pub struct WrappingKey(RandomizedNonceKey);

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappingKey(..)")
    }
}

impl WrappingKey {
    /// From its bytes.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, PayloadError> {
        cipher(bytes).map(Self)
    }

    /// A new key for a patient: as it is kept, and to use.
    pub fn generate(&self, id: KeyId) -> Result<(Vec<u8>, PatientKey), PayloadError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        aws_lc_rs::rand::fill(bytes.as_mut_slice()).map_err(|_| PayloadError::Key)?;
        // Room for the tag: a vector that grows leaves a copy of what it held.
        let mut text = Vec::with_capacity(bytes.len() + aws_lc_rs::aead::MAX_TAG_LEN);
        text.extend_from_slice(bytes.as_slice());
        let nonce = seal(&self.0, &covered(id), &mut text)?;
        Ok(([&[VERSION], nonce.as_slice(), &text].concat(), PatientKey::new(&bytes)?))
    }

    /// The key that is kept like this.
    pub fn unwrap_key(&self, id: KeyId, wrapped: &[u8]) -> Result<PatientKey, PayloadError> {
        let (version, rest) = wrapped.split_first().ok_or(PayloadError::Shape)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or(PayloadError::Shape)?;
        if *version != VERSION {
            return Err(PayloadError::Shape);
        }
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let length = open(&self.0, nonce, &covered(id), &mut sealed)?;
        let bytes = sealed.get(..length).and_then(|bytes| bytes.try_into().ok()).ok_or(PayloadError::Shape)?;
        PatientKey::new(bytes)
    }
}

fn covered(id: KeyId) -> Vec<u8> {
    [&[VERSION], USE, id.as_bytes().as_slice()].concat()
}

fn cipher(bytes: &[u8; 32]) -> Result<RandomizedNonceKey, PayloadError> {
    RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| PayloadError::Key)
}

fn seal(key: &RandomizedNonceKey, covered: &[u8], text: &mut Vec<u8>) -> Result<[u8; NONCE_LEN], PayloadError> {
    let nonce = key.seal_in_place_append_tag(Aad::from(covered), text).map_err(|_| PayloadError::Key)?;
    Ok(*nonce.as_ref())
}

fn open(key: &RandomizedNonceKey, nonce: &[u8], covered: &[u8], sealed: &mut [u8]) -> Result<usize, PayloadError> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| PayloadError::Shape)?;
    let text = key.open_in_place(nonce, Aad::from(covered), sealed).map_err(|_| PayloadError::Refused)?;
    Ok(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Place, open, seal};

    const PLACE: Place = Place::Auxiliary { patient: 40001, scope: 50001, source: 90001 };

    fn id(byte: u8) -> KeyId {
        KeyId([byte; 16])
    }

    #[test]
    fn an_id_is_32_digits() {
        let written = KeyId(*b"\x00\x01\x0a\xff\0\0\0\0\0\0\0\0\0\0\0\x10").to_string();
        assert_eq!(written, "00010aff000000000000000000000010");
        assert_eq!(written.parse(), Ok(KeyId(*b"\x00\x01\x0a\xff\0\0\0\0\0\0\0\0\0\0\0\x10")));
        let wrong = ["", "0", "+0010aff000000000000000000000010", "0x010aff000000000000000000000010", "../10aff"];
        for text in wrong.into_iter().chain([written.to_uppercase().as_str(), &format!("{written}0")]) {
            assert!(text.parse::<KeyId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrapped_key_opens_what_the_key_sealed() {
        let wrapping = WrappingKey::new(&[1; 32]).unwrap();
        let (wrapped, key) = wrapping.generate(id(7)).unwrap();
        let stored = seal(&key, id(7), PLACE, "text").unwrap();
        let again = wrapping.unwrap_key(id(7), &wrapped).unwrap();
        assert_eq!(open(&again, PLACE, &stored).as_deref(), Ok("text"));
        let (_, another) = wrapping.generate(id(7)).unwrap();
        assert_eq!(open(&another, PLACE, &stored), Err(PayloadError::Refused));
    }

    #[test]
    fn a_wrapped_key_is_of_its_id_and_of_what_wrapped_it() {
        let wrapping = WrappingKey::new(&[1; 32]).unwrap();
        let (wrapped, _) = wrapping.generate(id(7)).unwrap();
        assert_eq!(wrapped.len(), 1 + 12 + 32 + 16);
        let refused = |error: Result<PatientKey, PayloadError>| error.err();
        assert_eq!(refused(wrapping.unwrap_key(id(8), &wrapped)), Some(PayloadError::Refused));
        let another = WrappingKey::new(&[2; 32]).unwrap();
        assert_eq!(refused(another.unwrap_key(id(7), &wrapped)), Some(PayloadError::Refused));
        for at in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert!(wrapping.unwrap_key(id(7), &changed).is_err(), "{at}");
            assert!(wrapping.unwrap_key(id(7), &wrapped[..at]).is_err(), "{at}");
        }
    }
}
