//! Scopes (RFC 6749 3.3, OpenID Connect Core 5.4).

use std::fmt;

use crate::smart;

/// Asks for OpenID Connect: an `id_token` and the subject.
pub const OPENID: &str = "openid";
/// Asks for the user's name.
pub const PROFILE: &str = "profile";
/// Asks for the user's e-mail address.
pub const EMAIL: &str = "email";
/// Asks for a refresh token (OpenID Connect Core 11).
pub const OFFLINE_ACCESS: &str = "offline_access";
/// Asks for a refresh token that lasts while the user is online (SMART App Launch 2.2).
pub const ONLINE_ACCESS: &str = "online_access";

/// Asks for the patient in context beside the access token (SMART App Launch 2.2, "Requesting context data").
pub const LAUNCH_PATIENT: &str = "launch/patient";

/// Asks for the FHIR resource that stands for the user (SMART App Launch 2.2, "Scopes for requesting identity data").
pub const FHIR_USER: &str = "fhirUser";

/// The scopes this server lists. Of the SMART scopes it knows more: every resource type that it serves, every combination of
/// letters, and the words of version 1.
pub const SUPPORTED: [&str; 13] = [
    OPENID,
    PROFILE,
    EMAIL,
    OFFLINE_ACCESS,
    ONLINE_ACCESS,
    FHIR_USER,
    LAUNCH_PATIENT,
    "patient/*.rs",
    "patient/Observation.crus",
    "user/*.rs",
    "user/Observation.crus",
    "system/*.rs",
    "system/Observation.crus",
];

const MAX_TOKENS: usize = 64;
const MAX_CHARACTERS: usize = 2048;

/// The text is not a scope: empty, too long, or with characters RFC 6749 3.3 does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the scope is malformed")]
pub struct ScopeError;

/// A set of scope tokens. It may be empty; it keeps the order in which tokens were first named.
#[derive(Debug, Clone, Default)]
pub struct Scope(Vec<String>);

impl Scope {
    /// Parses `scope-token *( SP scope-token )` (RFC 6749 3.3). Repeated tokens count once.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.len() > MAX_CHARACTERS {
            return Err(ScopeError);
        }
        let mut tokens: Vec<String> = Vec::new();
        for token in text.split(' ') {
            if !is_token(token) || tokens.len() >= MAX_TOKENS {
                return Err(ScopeError);
            }
            if !tokens.iter().any(|t| t == token) {
                tokens.push(token.to_owned());
            }
        }
        Ok(Self(tokens))
    }

    /// The set of these tokens. There may be none: a client that never asks for a token has no scope.
    pub fn of(tokens: &[String]) -> Result<Self, ScopeError> {
        if tokens.is_empty() { Ok(Self::default()) } else { Self::parse(&tokens.join(" ")) }
    }

    /// Whether the set holds this token. Tokens are case-sensitive.
    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        self.0.iter().any(|t| t == token)
    }

    /// The tokens of this set that pass, in order.
    #[must_use]
    pub fn filter(&self, passes: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|token| passes(token)).cloned().collect())
    }

    /// The set without a token, if that is less than before and still something: a person takes back a part of what they
    /// allowed (OWASP ASVS 5.0 10.7.3). `openid` stays with what goes by it, and the last SMART scope stays too, since an
    /// authorization without any could be one of whole access. Who wants neither ends the authorization.
    #[must_use]
    pub fn without(&self, token: &str) -> Option<Self> {
        let rest = self.filter(|other| other != token);
        let is_less = self.contains(token) && token != OPENID && !rest.is_empty();
        (is_less && smart::is_named(self) == smart::is_named(&rest)).then_some(rest)
    }

    /// Whether the other set holds every token of this one.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().all(|t| other.contains(t))
    }

    /// Whether there is no token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.is_subset(other) && other.is_subset(self)
    }
}

impl Eq for Scope {}

/// `1*( %x21 / %x23-5B / %x5D-7E )` (RFC 6749 3.3).
fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_part_is_taken_back_and_never_makes_more_asvs_10_7_3() {
        let scope = Scope::parse("openid email patient/Observation.rs patient/Patient.r").unwrap();
        let rest = scope.without("email").unwrap();
        assert_eq!(rest.to_string(), "openid patient/Observation.rs patient/Patient.r");
        let rest = rest.without("patient/Patient.r").unwrap();
        assert_eq!(rest.without("patient/Observation.rs"), None, "without any it could be whole access");
        for (scope, token) in
            [("openid email", "openid"), ("email", "email"), ("openid email", "profile"), ("openid", "")]
        {
            assert_eq!(Scope::parse(scope).unwrap().without(token), None, "{token} of {scope}");
        }
    }

    #[test]
    fn the_syntax_is_that_of_rfc_6749_3_3() {
        for good in ["openid", "openid email", "patient/Observation.rs?category=x|y", "!"] {
            assert_eq!(Scope::parse(good).unwrap().to_string(), good);
        }
        let long = "a".repeat(MAX_CHARACTERS + 1);
        let many = (0..=MAX_TOKENS).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        for bad in ["", " ", " openid", "openid ", "openid  email", "a\"b", "a\\b", "a\tb", "é", &long, &many] {
            assert_eq!(Scope::parse(bad), Err(ScopeError), "{bad:?}");
        }
    }

    #[test]
    fn a_scope_is_a_set() {
        let scope = Scope::parse("openid email openid").unwrap();
        assert_eq!(scope.to_string(), "openid email");
        assert_eq!(scope, Scope::parse("email openid").unwrap());
        assert_ne!(scope, Scope::parse("openid Email").unwrap());
    }

    #[test]
    fn a_filter_keeps_what_passes_in_order() {
        let asked = Scope::parse("admin email openid").unwrap();
        let allowed = Scope::parse("openid email profile").unwrap();
        assert_eq!(asked.filter(|token| allowed.contains(token)).to_string(), "email openid");
        assert!(asked.filter(|_| false).is_empty());
        assert!(!asked.is_subset(&allowed));
    }

    proptest! {
        #[test]
        fn what_parses_prints_as_the_same_set(text in "[ -~]{0,40}") {
            if let Ok(scope) = Scope::parse(&text) {
                prop_assert_eq!(Scope::parse(&scope.to_string()), Ok(scope));
            }
        }

        #[test]
        fn no_input_panics(text in ".*") {
            let _ = Scope::parse(&text);
        }
    }
}
