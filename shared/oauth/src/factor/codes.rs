//! Codes that work once: for who lost the authenticator, and by e-mail.

use std::fmt;

use crate::token::random_bytes;
use crate::{RandomError, Secret, TokenHash};

/// How many recovery codes somebody gets.
pub const RECOVERY_CODES: usize = 10;

/// How often a code that was sent by e-mail may be tried.
pub const EMAIL_CODE_TRIES: i32 = 5;

/// The letters of RFC 4648 section 6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A code for who lost the authenticator: 120 random bits, so that its SHA-256 tells nothing of it (ASVS 6.5.2).
pub struct RecoveryCode(String);

impl RecoveryCode {
    /// A new code.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self(base32(&random_bytes::<15>()?)))
    }

    /// As somebody typed it: with or without dashes, in small or capital letters. None when it cannot be one.
    #[must_use]
    pub fn presented(text: &str) -> Option<Self> {
        let plain: String =
            text.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_uppercase()).collect();
        (plain.len() == 24 && plain.bytes().all(|byte| BASE32.contains(&byte))).then_some(Self(plain))
    }

    /// What the database keeps.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&format!("recovery-code\n{}", self.0))
    }

    /// As a person reads it.
    #[must_use]
    pub fn text(&self) -> String {
        let groups: Vec<&str> = (0..6).filter_map(|group| self.0.get(group * 4..group * 4 + 4)).collect();
        groups.join("-")
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(..)")
    }
}

/// A code of eight digits that is sent by e-mail. It is worth something only in one browser's session.
pub struct EmailCode(String);

impl EmailCode {
    /// A new code; each is equally likely.
    pub fn generate() -> Result<Self, RandomError> {
        const CODES: u32 = 100_000_000;
        const FAIR: u32 = u32::MAX - u32::MAX % CODES;
        loop {
            let number = u32::from_be_bytes(random_bytes()?);
            if number < FAIR {
                return Ok(Self(format!("{:08}", number % CODES)));
            }
        }
    }

    /// As somebody typed it.
    #[must_use]
    pub fn presented(text: &str) -> Self {
        Self(text.chars().filter(|c| !c.is_whitespace() && *c != '-').take(32).collect())
    }

    /// What the database keeps. The session's token, which the database does not have, makes the few possible codes as
    /// many as there are tokens.
    #[must_use]
    pub fn hash(&self, session: &Secret) -> TokenHash {
        TokenHash::of(&format!("email-code\n{}\n{}", session.expose(), self.0))
    }

    /// As it is sent.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for EmailCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailCode(..)")
    }
}

/// RFC 4648 section 6, without padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.extend(digit(buffer >> bits));
        }
    }
    if bits > 0 {
        text.extend(digit(buffer << (5 - bits)));
    }
    text
}

/// The letter of the lowest five bits.
fn digit(bits: u32) -> Option<char> {
    usize::try_from(bits & 31).ok().and_then(|index| BASE32.get(index)).map(|byte| char::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base32_is_that_of_the_rfc() {
        // RFC 4648 section 10.
        for (bytes, text) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB")]
        {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_recovery_code_is_read_as_people_write_it() {
        let code = RecoveryCode::generate().unwrap();
        let text = code.text();
        assert_eq!((text.len(), text.matches('-').count()), (29, 5));
        for typed in [text.clone(), text.to_lowercase(), text.replace('-', " "), format!(" {} ", text.replace('-', ""))]
        {
            assert_eq!(RecoveryCode::presented(&typed).unwrap().hash(), code.hash(), "{typed}");
        }
        assert_ne!(code.hash(), RecoveryCode::generate().unwrap().hash());
        assert_eq!(format!("{code:?}"), "RecoveryCode(..)");
    }

    #[test]
    fn what_cannot_be_a_recovery_code_is_none() {
        for text in ["", &"A".repeat(23), &"A".repeat(25), &format!("{}1", "A".repeat(23)), &"Ä".repeat(12)] {
            assert!(RecoveryCode::presented(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_email_code_belongs_to_its_session() {
        let code = EmailCode::generate().unwrap();
        assert!(code.text().len() == 8 && code.text().bytes().all(|byte| byte.is_ascii_digit()));
        let (mine, other) = (Secret::presented("mine"), Secret::presented("other"));
        assert_eq!(EmailCode::presented(&format!(" {} ", code.text())).hash(&mine), code.hash(&mine));
        assert_ne!(code.hash(&mine), code.hash(&other));
        assert_eq!(format!("{code:?}"), "EmailCode(..)");
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".*") {
            let _ = RecoveryCode::presented(&text);
            let _ = EmailCode::presented(&text);
        }
    }
}
