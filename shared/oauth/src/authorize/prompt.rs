//! The parameter `prompt`.

use crate::error::OAuthError;

/// How the user is to be asked (OpenID Connect Core 3.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prompt {
    /// As the session and the client have it.
    Unset,
    /// Show nothing.
    None,
    /// Log in again.
    Login,
    /// Agree again.
    Consent,
    /// Log in again, then agree again.
    LoginAndConsent,
}

impl Prompt {
    pub(super) fn parse(value: Option<&str>) -> Result<Self, OAuthError> {
        let malformed = OAuthError::invalid_request("The prompt is malformed.");
        let mut words: Vec<&str> = value.map(|text| text.split(' ').collect()).unwrap_or_default();
        words.sort_unstable();
        words.dedup();
        match words.as_slice() {
            [] => Ok(Self::Unset),
            ["none"] => Ok(Self::None),
            ["login"] => Ok(Self::Login),
            ["consent"] => Ok(Self::Consent),
            ["consent", "login"] => Ok(Self::LoginAndConsent),
            _ => Err(malformed),
        }
    }

    pub(super) const fn asks_login(self) -> bool {
        matches!(self, Self::Login | Self::LoginAndConsent)
    }

    pub(super) const fn asks_consent(self) -> bool {
        matches!(self, Self::Consent | Self::LoginAndConsent)
    }
}
