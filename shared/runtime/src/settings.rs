//! Settings of the functions, from the environment.

use oauth::grant::Lifetimes;
use std::str::FromStr;
use store::{ConfigError, WhenRevoked};

/// What a deployment can choose. Every field names its variable.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `SITE_URL`: the public URL of the deployment, without a slash at the end.
    pub site_url: String,
    /// `UPLOAD_WHEN_REVOKED`: `store` (default) or `reject` data whose consent was granted once and is revoked.
    pub when_revoked: WhenRevoked,
    /// `ACCESS_TOKEN_SECONDS` (900), `REFRESH_TOKEN_SECONDS` (14 days), `SESSION_SECONDS` (12 hours).
    pub lifetimes: Lifetimes,
    /// `SESSION_IDLE_SECONDS`: how long a session lasts that is not used (30 minutes).
    pub session_idle_seconds: i32,
    /// `REQUIRE_SECOND_FACTOR_FOR_SUPER_ADMINS`: `true` (default) or `false`.
    pub super_admins_need_factor: bool,
    /// `INVITATION_SECONDS`: how long an invitation can be redeemed (7 days).
    pub invitation_seconds: i64,
    /// `INVITATION_WINDOW_SECONDS`: how long a redeemed invitation can be redeemed again (12 hours).
    pub invitation_window_seconds: i32,
}

impl Settings {
    /// Reads the settings by a lookup in the environment.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let site_url = lookup("SITE_URL").ok_or(ConfigError::Missing("SITE_URL"))?;
        let defaults = Lifetimes::default();
        let seconds = |name, default: jiff::SignedDuration| {
            lifetime(&lookup, name, default.as_secs()).map(jiff::SignedDuration::from_secs)
        };
        Ok(Self {
            site_url: checked_site_url(&site_url)?,
            when_revoked: match lookup("UPLOAD_WHEN_REVOKED").as_deref() {
                None | Some("store") => WhenRevoked::Store,
                Some("reject") => WhenRevoked::Reject,
                Some(_) => return Err(ConfigError::Invalid("UPLOAD_WHEN_REVOKED", "use store or reject")),
            },
            lifetimes: Lifetimes {
                access: seconds("ACCESS_TOKEN_SECONDS", defaults.access)?,
                refresh: seconds("REFRESH_TOKEN_SECONDS", defaults.refresh)?,
                session: seconds("SESSION_SECONDS", defaults.session)?,
                ..defaults
            },
            session_idle_seconds: number(&lookup, "SESSION_IDLE_SECONDS", 30 * 60)?,
            super_admins_need_factor: match lookup("REQUIRE_SECOND_FACTOR_FOR_SUPER_ADMINS").as_deref() {
                None | Some("true") => true,
                Some("false") => false,
                Some(_) => {
                    return Err(ConfigError::Invalid("REQUIRE_SECOND_FACTOR_FOR_SUPER_ADMINS", "use true or false"));
                }
            },
            invitation_seconds: lifetime(&lookup, "INVITATION_SECONDS", 7 * 24 * 3600)?,
            invitation_window_seconds: number(&lookup, "INVITATION_WINDOW_SECONDS", 12 * 3600)?,
        })
    }

    /// True when the deployment is reached by TLS, so that cookies can be kept to it.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.site_url.starts_with("https://")
    }
}

/// Only `https`, or `http` on this machine: tokens never travel in clear text.
fn checked_site_url(text: &str) -> Result<String, ConfigError> {
    let url = text.trim_end_matches('/');
    let local = ["http://localhost", "http://127.0.0.1", "http://[::1]"]
        .iter()
        .any(|prefix| url.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')));
    if url.contains(['?', '#', ' ', '"', '<']) || !(local || url.starts_with("https://")) {
        return Err(ConfigError::Invalid("SITE_URL", "use an https URL, or http on localhost"));
    }
    Ok(url.to_owned())
}

/// The longest lifetime, ten years in seconds: an end that no calendar holds must not come up at a request.
const MAX_LIFETIME: i64 = 10 * 366 * 24 * 3600;

fn lifetime(lookup: impl Fn(&str) -> Option<String>, name: &'static str, default: i64) -> Result<i64, ConfigError> {
    let seconds = number(lookup, name, default)?;
    if seconds > MAX_LIFETIME {
        return Err(ConfigError::Invalid(name, "it is longer than ten years"));
    }
    Ok(seconds)
}

/// A positive number.
fn number<T: FromStr + PartialOrd + Default>(
    lookup: impl Fn(&str) -> Option<String>,
    name: &'static str,
    default: T,
) -> Result<T, ConfigError> {
    let Some(text) = lookup(name) else { return Ok(default) };
    text.parse()
        .ok()
        .filter(|value| *value > T::default())
        .ok_or(ConfigError::Invalid(name, "it is not a positive number in range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        Settings::from_env(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn access_tokens_live_fifteen_minutes_by_default() {
        let settings = settings(&[("SITE_URL", "https://jhe.example/")]).unwrap();
        assert_eq!(settings.lifetimes.access.as_secs(), 900);
        assert_eq!(settings.site_url, "https://jhe.example");
        assert!(settings.is_https());
    }

    #[test]
    fn only_this_machine_is_reached_without_tls() {
        for good in ["http://localhost:8000", "http://127.0.0.1", "http://[::1]:1", "https://a.example"] {
            assert!(settings(&[("SITE_URL", good)]).is_ok(), "{good}");
        }
        for bad in ["http://a.example", "http://localhost.evil.example", "ftp://a", "", "https://a/?x=1"] {
            assert!(settings(&[("SITE_URL", bad)]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_setting_that_is_not_understood_is_refused_by_name() {
        for (name, value) in [
            ("UPLOAD_WHEN_REVOKED", "drop"),
            ("ACCESS_TOKEN_SECONDS", "0"),
            ("ACCESS_TOKEN_SECONDS", "-5"),
            ("INVITATION_SECONDS", "week"),
            ("SESSION_SECONDS", "9223372036854775807"),
            ("SESSION_IDLE_SECONDS", "0"),
            ("REQUIRE_SECOND_FACTOR_FOR_SUPER_ADMINS", "no"),
        ] {
            let error = settings(&[("SITE_URL", "https://a"), (name, value)]).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
