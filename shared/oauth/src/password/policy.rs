//! Which passwords may be chosen (NIST SP 800-63B section 3.1.1.2, OWASP ASVS 5.0 section 6.2).
//!
//! Length, and not being one of those that are tried first. Nothing is asked of the kinds of characters.

use super::{keyboard::is_walk, listed::is_common};

/// The fewest characters a new password may have.
pub const MIN_CHARACTERS: usize = 12;

/// The most bytes a password may have.
pub const MAX_BYTES: usize = 256;

/// So many characters must be left that do not follow from those before.
const MIN_SURPRISES: usize = 6;

/// So many characters must be left without the names that anybody would try.
const MIN_BESIDE_NAMES: usize = 8;

/// A password cannot be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub enum PolicyError {
    /// Fewer characters than [`MIN_CHARACTERS`].
    TooShort,
    /// More bytes than [`MAX_BYTES`].
    TooLong,
    /// It is one of those that are tried first.
    Common,
    /// It is little more than the e-mail address or the name of the site.
    Personal,
}

impl PolicyError {
    /// What the person is told.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::TooShort => "Use at least 12 characters. Several words are fine.",
            Self::TooLong => "Use at most 256 characters.",
            Self::Common => "This password is among the first that somebody would try. Choose another one.",
            Self::Personal => "This password is too close to your e-mail address or to the name of this site.",
        }
    }
}

/// Whether a password may be chosen. `names` are what anybody knows: the e-mail address, the site's name and host.
pub fn check(password: &str, names: &[&str]) -> Result<(), PolicyError> {
    if password.len() > MAX_BYTES {
        return Err(PolicyError::TooLong);
    }
    if password.chars().count() < MIN_CHARACTERS {
        return Err(PolicyError::TooShort);
    }
    let lower = password.to_lowercase();
    if is_near(&lower, names) {
        return Err(PolicyError::Personal);
    }
    if surprises(&lower) < MIN_SURPRISES || is_walk(&lower) || is_common(&lower) {
        return Err(PolicyError::Common);
    }
    Ok(())
}

/// True when little is left of the password without the names in it.
fn is_near(lower: &str, names: &[&str]) -> bool {
    let mut rest = lower.to_owned();
    let mut parts: Vec<String> = names
        .iter()
        .flat_map(|name| {
            let name = name.to_lowercase();
            let parts: Vec<String> = name.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect();
            parts.into_iter().chain([name])
        })
        .filter(|part| part.chars().count() >= 4)
        .collect();
    // The longest first, so that a part does not tear apart the whole.
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    for part in &parts {
        rest = rest.replace(part.as_str(), "");
    }
    rest.len() < lower.len() && rest.chars().count() < MIN_BESIDE_NAMES
}

/// How many characters do not follow from those before: by repetition, by counting up or down, or as the next
/// characters of a piece that is repeated.
fn surprises(lower: &str) -> usize {
    const LONGEST_PIECE: usize = 8;
    let characters: Vec<char> = lower.chars().collect();
    let at = |index: usize| characters.get(index).copied();
    let follows = |index: usize| {
        let (Some(current), Some(before)) = (at(index), index.checked_sub(1).and_then(at)) else { return false };
        let is_step = u32::from(current).abs_diff(u32::from(before)) <= 1;
        is_step
            || (2..=LONGEST_PIECE).any(|piece| {
                index > piece && at(index - piece) == Some(current) && at(index - piece - 1) == Some(before)
            })
    };
    (0..characters.len()).filter(|index| !follows(*index)).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 3] = ["mary.miller@example.com", "JupyterHealth Exchange", "jhe.example"];

    #[test]
    fn a_long_password_of_any_kind_of_characters_is_fine() {
        for good in [
            "correct horse battery",
            "tangerine-otter-93",
            "Zürich im Regen 4",
            "        spaces  count",
            "пароль не из списка",
            "kx9vqpl2mzrt",
            "mary likes ripe pears",
        ] {
            assert_eq!(check(good, &NAMES), Ok(()), "{good}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        assert_eq!(check("kx9vqpl2mzr", &NAMES), Err(PolicyError::TooShort));
        assert_eq!(check("ééééé", &NAMES), Err(PolicyError::TooShort), "characters are counted, not bytes");
        let long: String = "kx9vqpl2mzrt ".chars().cycle().take(MAX_BYTES).collect();
        assert_eq!(check(&long, &NAMES), Ok(()));
        assert_eq!(check(&format!("{long}x"), &NAMES), Err(PolicyError::TooLong));
    }

    #[test]
    fn what_is_tried_first_is_refused() {
        for bad in [
            "password1234",
            "PASSWORD!!!!",
            "p@ssw0rd2024!",
            "passwordpassword",
            "123456789012",
            "aaaaaaaaaaaaaaaa",
            "abcdefghijkl",
            "abcabcabcabcabc",
            "qwertyuiop12",
            "1q2w3e4r5t6y",
            "liverpool2026",
            "2024football2024",
            "zaq1xsw2cde3",
            "asdf1234asdf",
            "dragonmonkey",
            "DragonM0nkey99",
            "administration",
        ] {
            assert_eq!(check(bad, &NAMES), Err(PolicyError::Common), "{bad}");
        }
    }

    #[test]
    fn what_everybody_knows_is_refused() {
        for bad in [
            "mary.miller@example.com",
            "MaryMiller2026",
            "miller-miller-1",
            "JupyterHealth!1",
            "jupyterhealthexchange",
            "exchange12345",
        ] {
            assert_eq!(check(bad, &NAMES), Err(PolicyError::Personal), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(password in ".*", name in ".*") {
            let _ = check(&password, &[&name]);
        }

        #[test]
        fn random_letters_are_fine(password in "[a-z]{20}") {
            prop_assert_eq!(check(&password, &[]), Ok(()));
        }
    }
}
