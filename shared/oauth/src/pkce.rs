//! Proof Key for Code Exchange (RFC 7636), S256 only.
//!
//! `plain` does not exist here: RFC 9700 2.1.1 asks for a method that does not show the verifier.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::token::{Secret, sha256};

/// The only `code_challenge_method`.
pub const METHOD: &str = "S256";

/// A code verifier: 43 to 128 unreserved characters (RFC 7636 4.1).
#[derive(Clone)]
pub struct Verifier(SecretString);

impl Verifier {
    /// The verifier, if the text has the syntax of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let length_fits = (43..=128).contains(&text.len());
        (length_fits && text.bytes().all(is_unreserved)).then(|| Self(text.into()))
    }

    /// The verifier that the bearer of an invitation token derives: base64url of the token's ASCII.
    ///
    /// `None` when the token is too short or too long for a verifier.
    #[must_use]
    pub fn of_invitation(token: &Secret) -> Option<Self> {
        Self::parse(&URL_SAFE_NO_PAD.encode(token.expose()))
    }

    /// `BASE64URL(SHA256(ASCII(verifier)))` (RFC 7636 4.2).
    #[must_use]
    pub fn challenge(&self) -> Challenge {
        Challenge(URL_SAFE_NO_PAD.encode(sha256(self.0.expose_secret().as_bytes())))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

/// An S256 code challenge: 32 bytes as 43 characters of base64url (RFC 7636 4.2).
#[derive(Clone)]
pub struct Challenge(String);

impl Challenge {
    /// The challenge, if the text has the syntax of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let decoded = URL_SAFE_NO_PAD.decode(text).ok()?;
        (decoded.len() == 32).then(|| Self(text.to_owned()))
    }

    /// The text to store with the code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this verifier made this challenge (RFC 7636 4.6), in constant time.
    #[must_use]
    pub fn is_met_by(&self, verifier: &Verifier) -> bool {
        self.0.as_bytes().ct_eq(verifier.challenge().0.as_bytes()).into()
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenge(..)")
    }
}

/// Whether a verifier as presented meets a challenge as stored. Malformed text never does.
#[must_use]
pub fn verify(verifier: &str, challenge: &str) -> bool {
    match (Verifier::parse(verifier), Challenge::parse(challenge)) {
        (Some(verifier), Some(challenge)) => challenge.is_met_by(&verifier),
        _ => false,
    }
}

/// `ALPHA / DIGIT / "-" / "." / "_" / "~"` (RFC 3986 2.3).
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_rfc_7636_appendix_b() {
        assert!(verify(VERIFIER, CHALLENGE));
        assert_eq!(Verifier::parse(VERIFIER).unwrap().challenge().as_str(), CHALLENGE);
    }

    #[test]
    fn plain_is_not_accepted_rfc_9700_2_1_1() {
        assert!(!verify(VERIFIER, VERIFIER));
        assert!(!verify(CHALLENGE, CHALLENGE));
    }

    #[test]
    fn verifier_syntax_rfc_7636_4_1() {
        for (text, good) in [
            ("a".repeat(42), false),
            ("a".repeat(43), true),
            ("~._-".repeat(32), true),
            ("a".repeat(129), false),
            (format!("{}+", "a".repeat(43)), false),
            (format!("{}\u{e9}", "a".repeat(43)), false),
            (String::new(), false),
        ] {
            assert_eq!(Verifier::parse(&text).is_some(), good, "{text:?}");
        }
    }

    #[test]
    fn challenge_syntax_rfc_7636_4_2() {
        let padded = format!("{CHALLENGE}=");
        let short = CHALLENGE.get(..42).unwrap();
        // The last character may carry only four bits of 32 bytes.
        let loose = format!("{}N", CHALLENGE.get(..42).unwrap());
        for bad in ["", short, &padded, &loose, &"+".repeat(43)] {
            assert!(Challenge::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn an_invitation_token_makes_its_verifier() {
        let token = Secret::presented("8NG3Sz7fULsoyypl9vmutzYOa6kkbgny");
        let verifier = Verifier::of_invitation(&token).unwrap();
        assert!(verify("OE5HM1N6N2ZVTHNveXlwbDl2bXV0ellPYTZra2Jnbnk", verifier.challenge().as_str()));
        assert!(Verifier::of_invitation(&Secret::presented("short")).is_none());
    }

    #[test]
    fn debug_shows_nothing() {
        let verifier = Verifier::parse(VERIFIER).unwrap();
        assert_eq!(format!("{verifier:?}{:?}", verifier.challenge()), "Verifier(..)Challenge(..)");
    }

    proptest! {
        #[test]
        fn only_the_same_verifier_meets_the_challenge(a in "[A-Za-z0-9._~-]{43,128}", b in "[A-Za-z0-9._~-]{43,128}") {
            let challenge = Verifier::parse(&a).unwrap().challenge();
            prop_assert!(verify(&a, challenge.as_str()));
            prop_assert_eq!(verify(&b, challenge.as_str()), a == b);
        }

        #[test]
        fn no_input_panics(a in ".*", b in ".*") {
            let _ = verify(&a, &b);
        }
    }
}
