//! Time-based one-time passwords (RFC 6238): HMAC-SHA-1, 30 seconds, six digits, as every authenticator app has them.

use std::fmt::{self, Write as _};
use std::iter::once;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key};
use jiff::Timestamp;
use secrecy::zeroize::Zeroizing;
use subtle::ConstantTimeEq;

use super::codes::base32;
use crate::RandomError;
use crate::token::random_bytes;

/// As long as the output of SHA-1 (RFC 4226 section 4, R6).
const SECRET_LENGTH: usize = 20;

/// The time step X (RFC 6238 section 4.1).
const STEP_SECONDS: i64 = 30;

/// How many steps before and after the current one count (RFC 6238 section 5.2).
const TOLERANCE: i64 = 1;

/// The key that encrypts the secrets of authenticators in the database, and the keys that may have encrypted those that are
/// there.
pub struct FactorKey {
    seals: Zeroizing<[u8; 32]>,
    others: Vec<Zeroizing<[u8; 32]>>,
}

impl FactorKey {
    /// The key of the deployment.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self { seals: Zeroizing::new(*key), others: Vec::new() }
    }

    /// Opens what other keys sealed: those before and after this one.
    #[must_use]
    pub fn opening<'a>(mut self, others: impl Iterator<Item = &'a [u8; 32]>) -> Self {
        self.others.extend(others.map(|key| Zeroizing::new(*key)));
        self
    }
}

fn cipher(key: &Zeroizing<[u8; 32]>) -> Option<RandomizedNonceKey> {
    RandomizedNonceKey::new(&AES_256_GCM, key.as_slice()).ok()
}

impl fmt::Debug for FactorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactorKey(..)")
    }
}

/// A step of time: the counter T of RFC 6238.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step(pub i64);

impl Step {
    /// The step of a time.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        Self(time.as_second().div_euclid(STEP_SECONDS))
    }
}

/// What an authenticator app and the exchange share.
pub struct TotpSecret(Zeroizing<[u8; SECRET_LENGTH]>);

impl TotpSecret {
    /// A new secret.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self(Zeroizing::new(random_bytes()?)))
    }

    /// The secret as a person types it into an app.
    #[must_use]
    pub fn text(&self) -> String {
        base32(self.0.as_slice())
    }

    /// What an app scans: the key URI that Google Authenticator introduced and all apps read.
    #[must_use]
    pub fn uri(&self, issuer: &str, account: &str) -> String {
        let encoded = |text: &str| {
            let mut out = String::new();
            for byte in text.bytes() {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                    out.push(char::from(byte));
                } else {
                    // Writing to a string does not fail.
                    let _ = write!(out, "%{byte:02X}");
                }
            }
            out
        };
        let issuer = encoded(issuer);
        format!("otpauth://totp/{issuer}:{}?secret={}&issuer={issuer}", encoded(account), self.text())
    }

    /// The code of a step (RFC 4226 section 5.3).
    #[must_use]
    pub fn code(&self, step: Step) -> String {
        let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.0.as_slice());
        let tag = hmac::sign(&key, &step.0.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag.last().copied().unwrap_or_default() & 0x0f);
        let truncated = tag
            .get(offset..offset + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, |bytes| u32::from_be_bytes(bytes) & 0x7fff_ffff);
        format!("{:06}", truncated % 1_000_000)
    }

    /// The step that a code is for, among the current one and its neighbours and later than `used`: each step's code
    /// works once (RFC 6238 section 5.2). All are compared, in constant time.
    #[must_use]
    pub fn verify(&self, code: &str, now: Timestamp, used: Step) -> Option<Step> {
        let current = Step::at(now);
        let typed: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let mut found = None;
        for step in (current.0 - TOLERANCE..=current.0 + TOLERANCE).map(Step) {
            let matches = bool::from(self.code(step).as_bytes().ct_eq(typed.as_bytes()));
            if matches && step > used {
                found = Some(step);
            }
        }
        found
    }

    /// The secret encrypted for the database: AES-256-GCM with a random nonce, bound to its user.
    pub fn seal(&self, key: &FactorKey, user: i32) -> Result<Vec<u8>, RandomError> {
        let cipher = cipher(&key.seals).ok_or(RandomError)?;
        let mut sealed = self.0.to_vec();
        let nonce = cipher.seal_in_place_append_tag(aad(user), &mut sealed).map_err(|_| RandomError)?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    /// The secret from the database. None when it was encrypted by none of the keys or for another user.
    #[must_use]
    pub fn open(key: &FactorKey, user: i32, stored: &[u8]) -> Option<Self> {
        let (nonce, sealed) = stored.split_at_checked(NONCE_LEN)?;
        once(&key.seals).chain(&key.others).find_map(|key| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            // What is opened in place is spoiled for the next key.
            let mut sealed = Zeroizing::new(sealed.to_vec());
            let plain = cipher(key)?.open_in_place(nonce, aad(user), &mut sealed).ok()?;
            Some(Self(Zeroizing::new((&*plain).try_into().ok()?)))
        })
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(..)")
    }
}

fn aad(user: i32) -> Aad<[u8; 4]> {
    Aad::from(user.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The secret of RFC 6238 appendix B.
    fn of_the_rfc() -> TotpSecret {
        TotpSecret(Zeroizing::new(*b"12345678901234567890"))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238 appendix B has eight digits; six are the last of them.
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(of_the_rfc().code(Step::at(at(second))), code, "{second}");
        }
    }

    #[test]
    fn a_code_is_good_for_its_step_and_the_neighbours() {
        let secret = of_the_rfc();
        let code = secret.code(Step(100));
        for (second, good) in [(2969, false), (2970, true), (3000, true), (3029, true), (3059, true), (3060, false)] {
            assert_eq!(secret.verify(&code, at(second), Step(0)).is_some(), good, "{second}");
        }
        assert_eq!(secret.verify(" 287 082 ", at(59), Step(0)), Some(Step(1)), "spaces are not part of it");
    }

    #[test]
    fn a_code_works_once() {
        let secret = of_the_rfc();
        let code = secret.code(Step(100));
        assert_eq!(secret.verify(&code, at(3000), Step(99)), Some(Step(100)));
        assert_eq!(secret.verify(&code, at(3000), Step(100)), None);
        assert_eq!(secret.verify(&code, at(3000), Step(101)), None, "nor one before a used one");
    }

    #[test]
    fn the_uri_is_what_apps_read() {
        assert_eq!(
            of_the_rfc().uri("Jupyter Health", "a+b@example.com"),
            "otpauth://totp/Jupyter%20Health:a%2Bb%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Jupyter%20Health"
        );
    }

    #[test]
    fn a_secret_is_opened_only_by_its_key_for_its_user() {
        let (key, secret) = (FactorKey::new(&[1; 32]), TotpSecret::generate().unwrap());
        let sealed = secret.seal(&key, 10001).unwrap();
        assert_eq!(TotpSecret::open(&key, 10001, &sealed).unwrap().text(), secret.text());
        assert!(TotpSecret::open(&FactorKey::new(&[2; 32]), 10001, &sealed).is_none());
        assert!(TotpSecret::open(&key, 10002, &sealed).is_none(), "moved to another row");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(TotpSecret::open(&key, 10001, &changed).is_none(), "byte {at}");
        }
        assert!(TotpSecret::open(&key, 10001, &[]).is_none());
        assert_ne!(sealed, secret.seal(&key, 10001).unwrap());
        assert_eq!(format!("{secret:?} {key:?}"), "TotpSecret(..) FactorKey(..)");
    }

    #[test]
    fn a_secret_of_a_key_before_or_after_is_opened_as_well() {
        let secret = TotpSecret::generate().unwrap();
        let [first, second, now, next, other] = [1, 2, 3, 4, 5].map(|byte| FactorKey::new(&[byte; 32]));
        let now = now.opening([[1; 32], [2; 32], [4; 32]].iter());
        for (key, opens) in [(&first, true), (&second, true), (&now, true), (&next, true), (&other, false)] {
            let opened = TotpSecret::open(&now, 10001, &secret.seal(key, 10001).unwrap());
            assert_eq!(opened.map(|opened| opened.text()), opens.then(|| secret.text()));
        }
        assert!(
            TotpSecret::open(&first, 10001, &secret.seal(&now, 10001).unwrap()).is_none(),
            "by the current key alone"
        );
    }

    proptest! {
        #[test]
        fn no_input_panics_or_passes(code in ".*", second in -100_000_i64..100_000_000_000) {
            prop_assume!(code.chars().filter(char::is_ascii_digit).count() != 6);
            prop_assert_eq!(of_the_rfc().verify(&code, at(second), Step(i64::MIN)), None);
        }
    }
}
