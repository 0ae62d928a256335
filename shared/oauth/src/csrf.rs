//! Signed form tokens, so that a form can only be sent by the browser it was made for.
//!
//! This is the signed double-submit pattern: the token in the form is an HMAC over the purpose of the form and a
//! binding that only this browser has, the session id or a random cookie set before login.

use std::{fmt, iter::once};

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::RandomError;
use crate::token::random_bytes;

const NONCE_LENGTH: usize = 16;

/// The key that signs form tokens, and the keys whose tokens are taken besides.
#[derive(Clone)]
pub struct FormKey {
    signs: Key,
    others: Vec<Key>,
}

impl FormKey {
    /// The key of the deployment.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self { signs: Key::new(HMAC_SHA256, key), others: Vec::new() }
    }

    /// Takes what other keys signed: those before and after this one.
    #[must_use]
    pub fn accepting<'a>(mut self, others: impl Iterator<Item = &'a [u8; 32]>) -> Self {
        self.others.extend(others.map(|key| Key::new(HMAC_SHA256, key)));
        self
    }

    /// A token for one form. `purpose` names the form, so that a token of one is no use in another.
    pub fn issue(&self, purpose: &str, binding: &str) -> Result<String, RandomError> {
        let nonce = random_bytes::<NONCE_LENGTH>()?;
        let tag = hmac::sign(&self.signs, &message(&nonce, purpose, binding));
        Ok(URL_SAFE_NO_PAD.encode([&nonce, tag.as_ref()].concat()))
    }

    /// Whether a token was issued by one of the keys for this form and this browser, in constant time.
    #[must_use]
    pub fn verify(&self, purpose: &str, binding: &str, token: &str) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else {
            return false;
        };
        let Some((nonce, tag)) = bytes.split_at_checked(NONCE_LENGTH) else {
            return false;
        };
        let message = message(nonce, purpose, binding);
        once(&self.signs).chain(&self.others).any(|key| hmac::verify(key, &message, tag).is_ok())
    }
}

impl fmt::Debug for FormKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormKey(..)")
    }
}

/// What is signed. Lengths come first, so that no two inputs give the same message.
fn message(nonce: &[u8], purpose: &str, binding: &str) -> Vec<u8> {
    let mut message = b"form-token/1".to_vec();
    for part in [nonce, purpose.as_bytes(), binding.as_bytes()] {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    }
    message
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_good_for_its_form_its_browser_and_its_key() {
        let key = FormKey::new(&[1; 32]);
        let token = key.issue("login", "browser").unwrap();
        assert!(key.verify("login", "browser", &token));
        assert!(!key.verify("consent", "browser", &token));
        assert!(!key.verify("login", "another", &token));
        assert!(!FormKey::new(&[2; 32]).verify("login", "browser", &token));
    }

    #[test]
    fn what_a_key_before_or_after_signed_is_taken_as_well() {
        let [before, now, after, other] = [1, 2, 3, 4].map(|byte| FormKey::new(&[byte; 32]));
        let now = now.accepting([[1; 32], [3; 32]].iter());
        for (key, taken) in [(&before, true), (&now, true), (&after, true), (&other, false)] {
            assert_eq!(now.verify("login", "b", &key.issue("login", "b").unwrap()), taken);
        }
        assert!(!before.verify("login", "b", &now.issue("login", "b").unwrap()), "signed by the current key alone");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let key = FormKey::new(&[1; 32]);
        let token = key.issue("ab", "c").unwrap();
        assert!(!key.verify("a", "bc", &token));
    }

    #[test]
    fn two_tokens_differ() {
        let key = FormKey::new(&[1; 32]);
        assert_ne!(key.issue("login", "b").unwrap(), key.issue("login", "b").unwrap());
    }

    #[test]
    fn any_changed_byte_spoils_a_token() {
        let key = FormKey::new(&[1; 32]);
        let token = URL_SAFE_NO_PAD.decode(key.issue("login", "b").unwrap()).unwrap();
        for at in 0..token.len() {
            let mut changed = token.clone();
            changed[at] ^= 1;
            assert!(!key.verify("login", "b", &URL_SAFE_NO_PAD.encode(changed)), "byte {at}");
        }
        let short = URL_SAFE_NO_PAD.encode(&token[..token.len() - 1]);
        assert!(!key.verify("login", "b", &short));
    }

    proptest! {
        #[test]
        fn no_input_panics_or_passes(token in ".*") {
            prop_assert!(!FormKey::new(&[1; 32]).verify("login", "b", &token));
        }
    }
}
