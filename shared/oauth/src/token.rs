//! Opaque tokens: access and refresh tokens, authorization codes, session ids, invitation tokens.
//!
//! A token is random and means nothing by itself. The database keeps only its SHA-256, so that a copy of
//! the database gives no one access. SHA-256 without salt is enough because a token has at least 190 bits of
//! entropy: there is no list of likely tokens to try.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::RandomError;

const ALPHANUMERIC: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The number of characters of an invitation token: 62^32 is 190 bits.
pub const INVITATION_LENGTH: usize = 32;

/// A token in the clear, as issued to or presented by a client. It is wiped when dropped and never printed.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// A new token of 256 random bits, written as 43 characters of base64url.
    ///
    /// RFC 6749 10.10 asks for a chance to guess below 2^-128.
    pub fn generate() -> Result<Self, RandomError> {
        let bytes = Zeroizing::new(random_bytes::<32>()?);
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes.as_slice()).into()))
    }

    /// A new invitation token: 32 letters and digits, which survive being put into a link or read aloud.
    pub fn invitation() -> Result<Self, RandomError> {
        alphanumeric(INVITATION_LENGTH).map(|text| Self(text.into()))
    }

    /// A token as somebody presented it. Nothing is known about it yet.
    #[must_use]
    pub fn presented(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, to be sent to the one it belongs to.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What the database keeps and is asked for.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.expose())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The SHA-256 of a token's text. Equality takes the same time wherever two hashes differ.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token as presented.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(sha256(text.as_bytes()))
    }

    /// A hash as read from the database.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store or to look up.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    // SHA-256 always gives 32 bytes, so this copies all of them.
    for (to, from) in out.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
        *to = *from;
    }
    out
}

/// Random bytes from the cryptographic generator: a salt, a nonce, a key.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

/// Random letters and digits, each equally likely.
fn alphanumeric(length: usize) -> Result<String, RandomError> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let block = Zeroizing::new(random_bytes::<64>()?);
        let wanted = length - text.len();
        text.extend(block.iter().filter_map(|byte| letter(*byte)).take(wanted));
    }
    Ok(text)
}

/// The letter for a random byte. Bytes above the last multiple of 62 give none, else the first letters of
/// the alphabet would be drawn more often.
fn letter(byte: u8) -> Option<char> {
    if byte >= 248 {
        return None;
    }
    ALPHANUMERIC.get(usize::from(byte % 62)).copied().map(char::from)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_token_has_256_bits_in_43_characters() {
        let token = Secret::generate().unwrap();
        assert_eq!(token.expose().len(), 43);
        assert_eq!(URL_SAFE_NO_PAD.decode(token.expose()).unwrap().len(), 32);
        assert_ne!(token.expose(), Secret::generate().unwrap().expose());
    }

    #[test]
    fn an_invitation_has_32_letters_and_digits() {
        let token = Secret::invitation().unwrap();
        assert_eq!(token.expose().len(), INVITATION_LENGTH);
        assert!(token.expose().bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_ne!(token.expose(), Secret::invitation().unwrap().expose());
    }

    #[test]
    fn every_letter_comes_from_equally_many_bytes() {
        let mut counts = HashMap::new();
        for byte in 0..=u8::MAX {
            if let Some(c) = letter(byte) {
                *counts.entry(c).or_insert(0) += 1;
            }
        }
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|n| *n == 4));
    }

    #[test]
    fn the_hash_is_sha256_of_the_text() {
        // FIPS 180-2, appendix B.1.
        let expected = [
            0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03,
            0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
        ];
        assert_eq!(TokenHash::of("abc").as_bytes(), &expected);
        assert_eq!(Secret::presented("abc").hash(), TokenHash::from_bytes(expected));
        assert_ne!(TokenHash::of("abc"), TokenHash::of("abd"));
    }

    #[test]
    fn debug_shows_nothing() {
        let token = Secret::presented("tell-nobody");
        assert_eq!(format!("{token:?}"), "Secret(..)");
        assert_eq!(format!("{:?}", token.hash()), "TokenHash(..)");
    }
}
