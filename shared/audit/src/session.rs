//! The session in which something was done.

use authz::GrantId;
use serde::Serialize;
use std::fmt::Write;

/// What ties the events of one session together. Nobody gets access by it: it is the number of a grant, or the start of the hash
/// of a browser's session token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Session(String);

impl Session {
    /// The session of an app: the grant that its access token comes from.
    #[must_use]
    pub fn of_grant(grant: GrantId) -> Self {
        Self(format!("grant:{grant}"))
    }

    /// The session of a browser, by the SHA-256 of its token.
    #[must_use]
    pub fn of_browser(token_hash: &[u8; 32]) -> Self {
        let hash = token_hash.iter().take(16).fold("browser:".to_owned(), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Self(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_a_grant_or_half_a_hash() {
        let json = |session: &Session| serde_json::to_value(session).unwrap();
        assert_eq!(json(&Session::of_grant(GrantId(7))), "grant:7");
        assert_eq!(json(&Session::of_browser(&[0xab; 32])), format!("browser:{}", "ab".repeat(16)));
    }
}
