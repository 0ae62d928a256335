//! Passwords: Argon2id with the parameters of the OWASP password storage guide.
//!
//! A password is hashed and compared exactly as it was sent (OWASP ASVS 5.0 section 6.2.8): nothing is cut off, and no
//! Unicode normalization changes it.

mod keyboard;
mod listed;
mod policy;

pub use policy::{MAX_BYTES, MIN_CHARACTERS, PolicyError, check};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

/// Memory in KiB, passes, lanes: 19 MiB, 2, 1.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// The hash of a password nobody has. Checked when there is no account, so that the answer takes as long.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$JnqFeyHDuHCxGgP+MEAN2g$AA0HIgBuxByc540YS9dVx4DE7+WVLznBLL2gJ42uV84";

/// A password cannot be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// More bytes than [`MAX_BYTES`].
    #[error("the password is too long")]
    TooLong,
    /// The hash function failed.
    #[error("the password could not be hashed")]
    Hash,
}

/// Hashes a password with a fresh random salt, giving a PHC string to store. Whether it may be chosen is for [`check`].
pub fn hash(password: &str, salt: &[u8; 16]) -> Result<String, PasswordError> {
    if password.len() > MAX_BYTES {
        return Err(PasswordError::TooLong);
    }
    let argon2 = argon2id().ok_or(PasswordError::Hash)?;
    let hash = argon2.hash_password_with_salt(password.as_bytes(), salt).map_err(|_| PasswordError::Hash)?;
    Ok(hash.to_string())
}

/// Whether a password is the one that was hashed.
///
/// Pass `None` when there is no such account or it has no password: the work is the same and the answer is no.
#[must_use]
pub fn verify(password: &str, stored: Option<&str>) -> bool {
    if password.len() > MAX_BYTES {
        return false;
    }
    if let Some(hash) = stored.and_then(|phc| PasswordHash::new(phc).ok()) {
        return matches(password, &hash);
    }
    if let Ok(nobody) = PasswordHash::new(NOBODY) {
        // For the time it takes: the hash is of random bytes that were thrown away.
        let _ = matches(password, &nobody);
    }
    false
}

fn matches(password: &str, hash: &PasswordHash) -> bool {
    argon2id().is_some_and(|argon2| argon2.verify_password(password.as_bytes(), hash).is_ok())
}

fn argon2id() -> Option<Argon2<'static>> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_checked_against_its_hash() {
        let phc = hash("Jhe1234!", &[7; 16]).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(verify("Jhe1234!", Some(&phc)));
        assert!(!verify("jhe1234!", Some(&phc)));
        assert!(!verify("", Some(&phc)));
    }

    #[test]
    fn the_salt_changes_the_hash() {
        assert_ne!(hash("Jhe1234!", &[7; 16]).unwrap(), hash("Jhe1234!", &[8; 16]).unwrap());
    }

    #[test]
    fn nobody_has_no_password() {
        assert!(!verify("Jhe1234!", None));
        assert!(!verify("Jhe1234!", Some("")));
        assert!(!verify("Jhe1234!", Some("!unusable")));
        assert!(!verify("Jhe1234!", Some("Jhe1234!")));
    }

    #[test]
    fn an_unknown_account_costs_the_same_work() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let real = hash("Jhe1234!", &[7; 16]).unwrap();
        let real = PasswordHash::new(&real).unwrap();
        assert_eq!(nobody.algorithm, real.algorithm);
        assert_eq!(nobody.version, real.version);
        assert_eq!(nobody.params.to_string(), real.params.to_string());
        assert_eq!(nobody.hash.unwrap().len(), real.hash.unwrap().len());
    }

    #[test]
    fn what_is_too_long_is_never_hashed() {
        assert_eq!(hash(&"a".repeat(MAX_BYTES + 1), &[7; 16]), Err(PasswordError::TooLong));
        assert!(!verify(&"a".repeat(MAX_BYTES + 1), None));
    }

    #[test]
    fn a_password_is_compared_as_it_was_sent() {
        let composed = hash("caf\u{e9} au lait", &[7; 16]).unwrap();
        assert!(verify("caf\u{e9} au lait", Some(&composed)));
        for other in ["cafe\u{301} au lait", "Caf\u{e9} au lait", "caf\u{e9} au lait ", "caf\u{e9} au lai"] {
            assert!(!verify(other, Some(&composed)), "{other:?}");
        }
    }
}
