//! Payloads encrypted with a key for each patient: the format of what is stored, and of the keys themselves.
//!
//! | bytes | what a stored payload has |
//! | --- | --- |
//! | 1 | the version, 1 |
//! | 16 | the id of the patient's key |
//! | 12 | the nonce, random |
//! | as many as the text has | the text, encrypted with AES-256-GCM |
//! | 16 | the tag |
//!
//! The tag covers all of it, and what the payload is bound to: whose it is, and in which row. So a payload that was put into another
//! row, or given to another patient, does not open.

mod key;

pub use key::{Held, KeyId, PatientKey, WrappingKey};

use aws_lc_rs::aead::{MAX_TAG_LEN, NONCE_LEN};

/// The version that is written.
const VERSION: u8 = 1;

/// What comes before the encrypted text.
const HEAD: usize = 1 + KeyId::LENGTH + NONCE_LEN;

/// A payload or a key does not open, or cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// It is no such thing, or of a later version.
    #[error("it has not the form of an encrypted payload")]
    Shape,
    /// Another key, another place, or something was changed.
    #[error("it was not encrypted with this key for this place")]
    Refused,
    /// There are no random numbers, or no such key.
    #[error("nothing can be encrypted")]
    Key,
}

/// Where a payload is. It opens nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An observation, in its first version.
    Observation {
        /// Its patient.
        patient: i32,
        /// Its id.
        id: i64,
    },
    /// A later version of an observation.
    Amended {
        /// Its patient.
        patient: i32,
        /// Its id.
        id: i64,
        /// The version, from 2.
        version: i32,
    },
    /// A resource that is kept as it came, in any of its versions. None of these ever changes for it.
    Auxiliary {
        /// Its patient.
        patient: i32,
        /// Its scope, and so its type.
        scope: i32,
        /// The FHIR Source that it comes from.
        source: i32,
    },
    /// A part of a file of an export.
    Part {
        /// Its patient.
        patient: i32,
        /// The file's name in the archive: a UUID, which no other file has.
        object: [u8; 16],
        /// Its place in the file.
        part: i32,
    },
}

impl Place {
    /// That of a version of an observation.
    #[must_use]
    pub const fn of_observation(patient: i32, id: i64, version: i32) -> Self {
        if version == 1 { Self::Observation { patient, id } } else { Self::Amended { patient, id, version } }
    }

    /// Whose it is.
    #[must_use]
    pub const fn patient(self) -> i32 {
        match self {
            Self::Observation { patient, .. }
            | Self::Amended { patient, .. }
            | Self::Auxiliary { patient, .. }
            | Self::Part { patient, .. } => patient,
        }
    }

    /// What the tag covers. Each number has a fixed length and each kind a letter of its own, so no two places give the same bytes.
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Observation { patient, id } => [b"o".as_slice(), &patient.to_be_bytes(), &id.to_be_bytes()].concat(),
            Self::Amended { patient, id, version } => {
                [b"v".as_slice(), &patient.to_be_bytes(), &id.to_be_bytes(), &version.to_be_bytes()].concat()
            }
            Self::Auxiliary { patient, scope, source } => {
                [b"a".as_slice(), &patient.to_be_bytes(), &scope.to_be_bytes(), &source.to_be_bytes()].concat()
            }
            Self::Part { patient, object, part } => {
                [b"p".as_slice(), &patient.to_be_bytes(), &object, &part.to_be_bytes()].concat()
            }
        }
    }
}

/// The id of the key that a stored payload was encrypted with.
pub fn key_of(stored: &[u8]) -> Result<KeyId, PayloadError> {
    let (version, rest) = stored.split_first().ok_or(PayloadError::Shape)?;
    let (id, rest) = rest.split_at_checked(KeyId::LENGTH).ok_or(PayloadError::Shape)?;
    if *version != VERSION || rest.len() < NONCE_LEN + MAX_TAG_LEN {
        return Err(PayloadError::Shape);
    }
    KeyId::from_bytes(id).ok_or(PayloadError::Shape)
}

/// A text as it is stored.
pub fn seal(key: &PatientKey, id: KeyId, place: Place, text: &str) -> Result<Vec<u8>, PayloadError> {
    let mut stored = Vec::with_capacity(HEAD + text.len() + MAX_TAG_LEN);
    let mut sealed = Vec::with_capacity(text.len() + MAX_TAG_LEN);
    sealed.extend_from_slice(text.as_bytes());
    let nonce = key.seal(&covered(id, place), &mut sealed)?;
    stored.push(VERSION);
    stored.extend_from_slice(id.as_bytes());
    stored.extend_from_slice(&nonce);
    stored.extend_from_slice(&sealed);
    Ok(stored)
}

/// The text of a stored payload.
pub fn open(key: &PatientKey, place: Place, stored: &[u8]) -> Result<String, PayloadError> {
    let id = key_of(stored)?;
    let (head, sealed) = stored.split_at_checked(HEAD).ok_or(PayloadError::Shape)?;
    let nonce = head.get(1 + KeyId::LENGTH..).ok_or(PayloadError::Shape)?;
    let mut text = sealed.to_vec();
    let length = key.open(nonce, &covered(id, place), &mut text)?;
    text.truncate(length);
    String::from_utf8(text).map_err(|_| PayloadError::Shape)
}

fn covered(id: KeyId, place: Place) -> Vec<u8> {
    [&[VERSION], id.as_bytes().as_slice(), &place.bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: Place = Place::Observation { patient: 40001, id: 60001 };

    fn key(byte: u8) -> PatientKey {
        PatientKey::new(&[byte; 32]).unwrap()
    }

    fn id(byte: u8) -> KeyId {
        KeyId::from_bytes(&[byte; 16]).unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_with_its_key_in_its_place_and_nowhere_else() {
        let stored = seal(&key(1), id(7), HERE, "{\"code\":1.00}").unwrap();
        assert_eq!(open(&key(1), HERE, &stored).as_deref(), Ok("{\"code\":1.00}"));
        assert_eq!(key_of(&stored), Ok(id(7)));
        assert_eq!(open(&key(2), HERE, &stored), Err(PayloadError::Refused));
        for elsewhere in [
            Place::Observation { patient: 40001, id: 60002 },
            Place::Observation { patient: 40002, id: 60001 },
            Place::Auxiliary { patient: 40001, scope: 0, source: 60001 },
            Place::Part { patient: 40001, object: [0; 16], part: 0 },
            Place::Amended { patient: 40001, id: 60001, version: 2 },
        ] {
            assert_eq!(open(&key(1), elsewhere, &stored), Err(PayloadError::Refused), "{elsewhere:?}");
        }
    }

    #[test]
    fn no_two_places_are_the_same() {
        let numbers = [0, 1, 256, i32::MAX, -1];
        let mut seen = std::collections::BTreeSet::new();
        for (patient, second) in numbers.iter().flat_map(|one| numbers.map(|other| (*one, other))) {
            assert!(seen.insert(Place::Observation { patient, id: i64::from(second) }.bytes()));
            for source in numbers {
                assert!(seen.insert(Place::Auxiliary { patient, scope: second, source }.bytes()));
                for object in [[0; 16], [1; 16]] {
                    let part = Place::Part { patient, object, part: second };
                    assert!(source != 0 || seen.insert(part.bytes()));
                }
                assert!(seen.insert(Place::Amended { patient, id: i64::from(second), version: source }.bytes()));
            }
        }
    }

    #[test]
    fn the_same_text_is_never_stored_as_the_same_bytes() {
        let first = seal(&key(1), id(7), HERE, "text").unwrap();
        let second = seal(&key(1), id(7), HERE, "text").unwrap();
        assert_ne!(first, second);
        assert_eq!(first.len(), HEAD + 4 + MAX_TAG_LEN);
    }

    #[test]
    fn what_is_no_payload_is_refused() {
        let stored = seal(&key(1), id(7), HERE, "").unwrap();
        assert_eq!(open(&key(1), HERE, &stored).as_deref(), Ok(""));
        for length in 0..stored.len() {
            assert_eq!(key_of(&stored[..length]), Err(PayloadError::Shape), "{length}");
            assert_eq!(open(&key(1), HERE, &stored[..length]), Err(PayloadError::Shape), "{length}");
        }
        let later: Vec<u8> = std::iter::once(2).chain(stored[1..].iter().copied()).collect();
        assert_eq!(open(&key(1), HERE, &later), Err(PayloadError::Shape));
        assert_eq!(open(&key(1), HERE, b"{\"resourceType\":\"Observation\", \"text\": 1}"), Err(PayloadError::Shape));
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        assert_eq!(format!("{:?}", key(65)), "PatientKey(..)");
        assert_eq!(format!("{:?}", WrappingKey::new(&[65; 32]).unwrap()), "WrappingKey(..)");
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_any_change_is_noticed(text in ".*", at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut stored = seal(&key(1), id(7), HERE, &text).unwrap();
            prop_assert_eq!(open(&key(1), HERE, &stored), Ok(text));
            let at = at.index(stored.len());
            stored[at] ^= 1 << bit;
            prop_assert!(open(&key(1), HERE, &stored).is_err());
        }

        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(open(&key(1), HERE, &bytes).is_err());
        }
    }
}
