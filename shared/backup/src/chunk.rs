//! Chunks: pieces of a table, compressed with zstd, then encrypted with AES-256-GCM.
//!
//! The pieces of a table are one stream, as in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: "Online
//! Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015): the nonce is a prefix of the table, the number of
//! the chunk, and whether it is the last one. So no chunk can be left out, doubled, moved or taken from elsewhere.

use crate::FormatError;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};

/// The most bytes of a table that one chunk holds.
pub const CHUNK: usize = 8 * 1024 * 1024;

/// The level of compression: the fastest one. JSON shrinks to a fifth by it, and to a sixth by slower ones.
const LEVEL: i32 = 1;

/// Says what is encrypted, so that nothing that the same key encrypts elsewhere is taken for it.
const CONTEXT: &str = "jhe backup chunk 1";

/// Where a chunk belongs.
#[derive(Clone, Copy, Debug)]
pub struct Position<'a> {
    /// The id of the backup.
    pub backup: &'a str,
    /// The name of the table.
    pub table: &'a str,
    /// The number of the chunk, from 0.
    pub index: u32,
    /// Whether it is the table's last.
    pub is_last: bool,
}

impl Position<'_> {
    fn nonce(&self, prefix: Prefix) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        let parts = prefix.0.into_iter().chain(self.index.to_be_bytes()).chain([u8::from(self.is_last)]);
        nonce.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        Nonce::assume_unique_for_key(nonce)
    }

    /// What is authenticated with a chunk. Neither name has a NUL in it.
    fn associated(&self) -> Vec<u8> {
        [CONTEXT, self.backup, self.table, &self.index.to_string()].join("\0").into_bytes()
    }

    fn broken(&self) -> FormatError {
        FormatError::Chunk { table: self.table.to_owned(), index: self.index }
    }
}

/// What the nonces of a table begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix([u8; 7]);

impl Prefix {
    /// A random one.
    pub fn generate() -> Result<Self, FormatError> {
        let mut bytes = [0; 7];
        rand::fill(&mut bytes).map_err(|_| FormatError::Cryptography)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Prefix {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("no prefix"))
    }
}

/// The key of one backup.
pub struct DataKey {
    bytes: Zeroizing<[u8; 32]>,
    key: LessSafeKey,
}

impl DataKey {
    /// A random one.
    pub fn generate() -> Result<Self, FormatError> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| FormatError::Cryptography)?;
        Self::of(bytes)
    }

    /// The key that was unwrapped.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::of(Zeroizing::new(bytes.try_into().map_err(|_| FormatError::WrongKey)?))
    }

    fn of(bytes: Zeroizing<[u8; 32]>) -> Result<Self, FormatError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes.as_slice()).map_err(|_| FormatError::Cryptography)?;
        Ok(Self { bytes, key: LessSafeKey::new(key) })
    }

    /// What is to be wrapped.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// A chunk of this text, at most [`CHUNK`] bytes.
    pub fn seal(&self, prefix: Prefix, position: Position<'_>, text: &[u8]) -> Result<Vec<u8>, FormatError> {
        let mut chunk = zstd::bulk::compress(text, LEVEL).map_err(|_| FormatError::Cryptography)?;
        let associated = Aad::from(position.associated());
        let sealed = self.key.seal_in_place_append_tag(position.nonce(prefix), associated, &mut chunk);
        sealed.map_err(|_| FormatError::Cryptography)?;
        Ok(chunk)
    }

    /// The text of a chunk.
    pub fn open(&self, prefix: Prefix, position: Position<'_>, mut chunk: Vec<u8>) -> Result<Vec<u8>, FormatError> {
        let associated = Aad::from(position.associated());
        let opened = self.key.open_in_place(position.nonce(prefix), associated, &mut chunk);
        let opened = opened.map_err(|_| position.broken())?;
        zstd::bulk::decompress(opened, CHUNK).map_err(|_| position.broken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Position<'static> = Position { backup: "b", table: "patient", index: 3, is_last: false };

    #[test]
    fn a_chunk_opens_at_its_own_place_only() {
        let (key, prefix) = (DataKey::generate().unwrap(), Prefix::generate().unwrap());
        let text = vec![b'x'; CHUNK];
        let chunk = key.seal(prefix, HERE, &text).unwrap();
        assert!(chunk.len() < CHUNK / 100, "it is compressed");
        assert_eq!(key.open(prefix, HERE, chunk.clone()).unwrap(), text);
        for elsewhere in [
            Position { backup: "c", ..HERE },
            Position { table: "observation", ..HERE },
            Position { index: 4, ..HERE },
            Position { is_last: true, ..HERE },
        ] {
            let error = key.open(prefix, elsewhere, chunk.clone()).unwrap_err();
            assert!(matches!(error, FormatError::Chunk { .. }), "{elsewhere:?}");
        }
        let other = Prefix::generate().unwrap();
        assert!(key.open(other, HERE, chunk.clone()).is_err());
        assert!(DataKey::generate().unwrap().open(prefix, HERE, chunk).is_err());
    }

    #[test]
    fn no_bit_can_be_changed_and_no_byte_left_out() {
        let (key, prefix) = (DataKey::generate().unwrap(), Prefix::generate().unwrap());
        let chunk = key.seal(prefix, HERE, b"1\tPeter\n").unwrap();
        for bit in 0..chunk.len() * 8 {
            let mut flipped = chunk.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(key.open(prefix, HERE, flipped).is_err(), "bit {bit}");
        }
        for length in 0..chunk.len() {
            assert!(key.open(prefix, HERE, chunk[..length].to_vec()).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_key_is_read_back() {
        let (key, prefix) = (DataKey::generate().unwrap(), Prefix::generate().unwrap());
        let same = DataKey::from_bytes(key.expose()).unwrap();
        let chunk = key.seal(prefix, HERE, b"").unwrap();
        assert_eq!(same.open(prefix, HERE, chunk).unwrap(), b"");
        assert!(matches!(DataKey::from_bytes(b"short").err(), Some(FormatError::WrongKey)));
    }
}
