//! Symmetric keys.

use std::fmt;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const ALPHABETS: [GeneralPurpose; 2] =
    [GeneralPurpose::new(&STANDARD, LENIENT), GeneralPurpose::new(&URL_SAFE, LENIENT)];

/// A symmetric key of 256 bits.
pub struct Key(SecretBox<[u8; 32]>);

impl Key {
    /// Reads 32 bytes from base64, of either alphabet, padded or not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = ALPHABETS.iter().find_map(|engine| engine.decode(text.trim()).ok())?;
        let bytes = Zeroizing::new(bytes);
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(bytes.as_slice().try_into().ok()?);
        Some(Self(SecretBox::init_with_mut(|into: &mut [u8; 32]| {
            into.copy_from_slice(key.as_slice());
        })))
    }

    /// The bytes, for the function that signs with them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A key that is replaced from time to time, and the keys before and after it. Processes read the secret at different times:
/// what one makes with the key that is new to it, another still has to take, and the other way round.
#[derive(Debug)]
pub struct Keys {
    current: Key,
    others: Vec<Key>,
}

impl Keys {
    /// A key and those that go with it.
    #[must_use]
    pub const fn new(current: Key, others: Vec<Key>) -> Self {
        Self { current, others }
    }

    /// The bytes of the key to use.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.current.expose()
    }

    /// The bytes of each other one, for what they made.
    pub fn others(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.others.iter().map(Key::expose)
    }
}

impl From<Key> for Keys {
    fn from(current: Key) -> Self {
        Self { current, others: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn a_key_is_32_bytes_in_base64() {
        let bytes = [0xfb; 32];
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            assert_eq!(Key::parse(&engine.encode(bytes)).unwrap().expose(), &bytes);
        }
        assert!(Key::parse(&format!("{}\n", STANDARD.encode(bytes))).is_some());
    }

    #[test]
    fn anything_else_is_refused() {
        let short = STANDARD.encode([1; 31]);
        let long = STANDARD.encode([1; 33]);
        for text in ["", "key", &short, &long, &"0".repeat(64)] {
            assert!(Key::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Key::parse(&STANDARD.encode([1; 32])).unwrap()), "Key(..)");
    }
}
