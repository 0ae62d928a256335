//! How a person signed in, as clients are told: `amr` (RFC 8176) and `acr` (OpenID Connect Core 2).

/// The method of a session that more than one factor was used for.
pub const TWO_FACTORS: &str = "mfa";

/// The method of a session in which a code that was sent by e-mail was typed.
pub const EMAIL_CODE: &str = "email";

/// How strong a sign-in was. The names are our own: those of assurance frameworks promise more than how somebody signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acr {
    /// By one factor. A code by e-mail after a password makes no second one (OWASP ASVS 6.3.6).
    OneFactor,
    /// By two.
    TwoFactors,
}

impl Acr {
    /// Every value, as the metadata lists them.
    pub const ALL: [Self; 2] = [Self::OneFactor, Self::TwoFactors];

    /// The value of `acr`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneFactor => "urn:jupyterhealth:acr:one-factor",
            Self::TwoFactors => "urn:jupyterhealth:acr:two-factors",
        }
    }

    /// The value with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|acr| acr.as_str() == text)
    }

    /// How strong these methods of a session are. None: nothing is known, and nothing is claimed.
    #[must_use]
    pub fn of(methods: &[String]) -> Option<Self> {
        if methods.iter().any(|method| method == TWO_FACTORS) {
            Some(Self::TwoFactors)
        } else {
            (!methods.is_empty()).then_some(Self::OneFactor)
        }
    }
}

/// The value of `amr` for the methods of a session. None: nothing is known.
#[must_use]
pub fn amr(methods: &[String]) -> Option<Vec<String>> {
    // RFC 8176 has no name for e-mail. A code that comes another way is "multiple-channel authentication".
    let named = methods.iter().map(|method| if method == EMAIL_CODE { "mca".to_owned() } else { method.clone() });
    (!methods.is_empty()).then(|| named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_was_done() {
        for (methods, acr, told) in [
            (&[][..], None, None),
            (&["pwd"], Some(Acr::OneFactor), Some(vec!["pwd"])),
            (&["pwd", "email"], Some(Acr::OneFactor), Some(vec!["pwd", "mca"])),
            (&["pwd", "otp", "mfa"], Some(Acr::TwoFactors), Some(vec!["pwd", "otp", "mfa"])),
            (&["pwd", "otp", "mfa", "email"], Some(Acr::TwoFactors), Some(vec!["pwd", "otp", "mfa", "mca"])),
            (&["otp", "mfa"], Some(Acr::TwoFactors), Some(vec!["otp", "mfa"])),
        ] {
            let methods: Vec<String> = methods.iter().map(|method| (*method).to_owned()).collect();
            assert_eq!(Acr::of(&methods), acr, "{methods:?}");
            let told = told.map(|told| told.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(amr(&methods), told, "{methods:?}");
        }
    }

    #[test]
    fn names_round_trip_and_are_uris() {
        for acr in Acr::ALL {
            assert_eq!(Acr::parse(acr.as_str()), Some(acr));
            assert!(acr.as_str().starts_with("urn:"), "OpenID Connect Core 2");
        }
        assert_eq!(Acr::parse("0"), None);
        assert!(Acr::OneFactor < Acr::TwoFactors);
    }
}
