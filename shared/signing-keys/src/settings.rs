//! What new keys are, and how often there are some.

use crate::KeysError;
use jiff::SignedDuration;
use oauth::{ring::Pace, signing::KeyBits};
use runtime::App;

/// Where new keys are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Here, and kept in the document.
    Pem,
    /// In AWS KMS.
    Kms,
}

/// The settings of rotations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub kind: Kind,
    pub bits: KeyBits,
    pub pace: Pace,
}

const KIND: &str = "SIGNING_KEY_KIND";
const BITS: &str = "SIGNING_KEY_BITS";
const DAYS: &str = "SIGNING_KEY_DAYS";

impl Settings {
    /// `SIGNING_KEY_KIND` (pem), `SIGNING_KEY_BITS` (4096) and `SIGNING_KEY_DAYS` (30).
    pub(crate) fn of(app: &App) -> Result<Self, KeysError> {
        Self::from_env(app.variables(), app.settings.lifetimes.id_token)
    }

    fn from_env(lookup: impl Fn(&str) -> Option<String>, id_token: SignedDuration) -> Result<Self, KeysError> {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let kind = match set(KIND).as_deref() {
            None | Some("pem") => Kind::Pem,
            Some("kms") => Kind::Kms,
            Some(_) => return Err(KeysError::Setting(KIND, "use pem or kms")),
        };
        let bits = set(BITS).map_or(Some(KeyBits::B4096), |text| KeyBits::parse(&text));
        let days = set(DAYS).map_or(Some(30), |text| text.parse::<u16>().ok());
        let period = days.map(|days| SignedDuration::from_hours(i64::from(days) * 24));
        let cache = SignedDuration::try_from(secrets::LIMIT).ok();
        let pace = period.zip(cache).and_then(|(period, cache)| Pace::new(period, id_token, cache));
        Ok(Self {
            kind,
            bits: bits.ok_or(KeysError::Setting(BITS, "use 2048, 3072 or 4096"))?,
            pace: pace.ok_or(KeysError::Setting(DAYS, "use a number of days, from 1 to 65535"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, KeysError> {
        let lookup = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::from_env(lookup, SignedDuration::from_mins(15))
    }

    #[test]
    fn keys_have_4096_bits_and_a_month_by_default() {
        let settings = settings(&[]).unwrap();
        assert_eq!((settings.kind, settings.bits), (Kind::Pem, KeyBits::B4096));
        let month =
            Pace::new(SignedDuration::from_hours(720), SignedDuration::from_mins(15), SignedDuration::from_hours(1));
        assert_eq!(Some(settings.pace), month);
    }

    #[test]
    fn a_setting_that_is_not_understood_is_refused_by_name() {
        for (name, value) in [
            (KIND, "hsm"),
            (BITS, "1024"),
            (BITS, "8192"),
            (BITS, "many"),
            (DAYS, "0"),
            (DAYS, "-1"),
            (DAYS, "65536"),
            (DAYS, "monthly"),
        ] {
            let error = settings(&[(name, value)]).unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
        }
        assert!(settings(&[(KIND, "kms"), (BITS, "2048"), (DAYS, "1")]).is_ok());
    }
}
