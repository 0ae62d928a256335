//! Settings of the functions, from the environment.

use crate::{RateLimit, cors};
use jiff::SignedDuration;
use oauth::{
    exchange::TrustedIssuer,
    grant::Lifetimes,
    pkce::{Challenge, Verifier},
};
use std::str::FromStr;
use store::{ConfigError, WhenRevoked};

/// What a deployment can choose. Every field names its variable.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Settings {
    /// `SITE_URL`: the public URL of the deployment, without a slash at the end.
    pub site_url: String,
    /// `UPLOAD_WHEN_REVOKED`: `store` (default) or `reject` data whose consent was granted once and is revoked.
    pub when_revoked: WhenRevoked,
    /// `ACCESS_TOKEN_SECONDS` (900), `REFRESH_TOKEN_SECONDS` (14 days), `SESSION_SECONDS` (12 hours),
    /// `GRANT_SECONDS` (365 days).
    pub lifetimes: Lifetimes,
    /// `CORS_ALLOWED_ORIGINS`: origins that may read answers in a browser, besides those of registered clients.
    pub cors_origins: Vec<String>,
    /// `SESSION_IDLE_SECONDS`: how long a session lasts that is not used (30 minutes).
    pub session_idle_seconds: i32,
    /// `REQUIRE_SECOND_FACTOR_FOR_SUPER_ADMINS`: `true` (default) or `false`.
    pub super_admins_need_factor: bool,
    /// `REQUIRE_PUSHED_AUTHORIZATION_REQUESTS`: `true` when every client has to push its requests, or `false` (default).
    pub requires_pushed_requests: bool,
    /// `REQUIRE_BOUND_TOKENS`: `true` when only tokens that are bound to a key are issued and taken, or `false` (default).
    pub requires_bound_tokens: bool,
    /// `REQUIRE_CLIENT_KEYS`: `true` when every client has to prove itself by a key of its own, or `false` (default).
    pub requires_client_keys: bool,
    /// `REQUIRE_RECENT_SIGN_IN_FOR_SUPER_ADMINS`: `true` when a super admin changes something only after a recent sign-in, or
    /// `false` (default).
    pub super_admins_sign_in_recently: bool,
    /// `INVITATION_SECONDS`: how long an invitation can be redeemed (7 days).
    pub invitation_seconds: i64,
    /// `INVITATION_WINDOW_SECONDS`: how long a redeemed invitation can be redeemed again (12 hours).
    pub invitation_window_seconds: i32,
    /// `INVITATION_EMAIL_ONLY`: `1` when every invitation must be sent to the patient by the exchange, so that nobody else
    /// is shown its token.
    pub invitation_email_only: bool,
    /// `METRICS_STAGE`: the deployment's name in the metrics; without it none are written.
    pub metrics_stage: Option<String>,
    /// `RATE_LIMIT_PER_MINUTE`: how many requests a user may send with a client (3000); none for `0`.
    pub rate_limit: Option<RateLimit>,
    /// `REASON_REQUIRED`: `true` when super admins have to say why; `false` by default.
    pub reason_required: bool,
    /// `STUDY_GRACE_DAYS`: how long researchers keep access after the end of a study (30 days).
    pub study_grace: SignedDuration,
    /// `PATIENT_AUTHORIZATION_CODE_CHALLENGE`, or the challenge of `PATIENT_AUTHORIZATION_CODE_VERIFIER`: what the apps of
    /// clients set to static PKCE answer to.
    pub static_challenge: Option<Challenge>,
    /// Whether there is a provider whose tokens are exchanged (`TOKEN_EXCHANGE_ISSUERS`).
    pub exchanges_tokens: bool,
}

/// The setting that names the providers whose tokens are exchanged.
pub const TOKEN_EXCHANGE_ISSUERS: &str = "TOKEN_EXCHANGE_ISSUERS";

impl Settings {
    /// Reads the settings by a lookup in the environment.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let site_url = lookup("SITE_URL").ok_or(ConfigError::Missing("SITE_URL"))?;
        let defaults = Lifetimes::default();
        let seconds =
            |name, default: SignedDuration| lifetime(&lookup, name, default.as_secs()).map(SignedDuration::from_secs);
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
                grant: seconds("GRANT_SECONDS", defaults.grant)?,
                ..defaults
            },
            cors_origins: cors::origins(&lookup("CORS_ALLOWED_ORIGINS").unwrap_or_default())
                .ok_or(ConfigError::Invalid("CORS_ALLOWED_ORIGINS", "use origins such as https://app.example"))?,
            session_idle_seconds: number(&lookup, "SESSION_IDLE_SECONDS", 30 * 60)?,
            super_admins_need_factor: flag(&lookup, "REQUIRE_SECOND_FACTOR_FOR_SUPER_ADMINS", true)?,
            requires_pushed_requests: flag(&lookup, "REQUIRE_PUSHED_AUTHORIZATION_REQUESTS", false)?,
            requires_bound_tokens: flag(&lookup, "REQUIRE_BOUND_TOKENS", false)?,
            requires_client_keys: flag(&lookup, "REQUIRE_CLIENT_KEYS", false)?,
            super_admins_sign_in_recently: flag(&lookup, "REQUIRE_RECENT_SIGN_IN_FOR_SUPER_ADMINS", false)?,
            invitation_seconds: lifetime(&lookup, "INVITATION_SECONDS", 7 * 24 * 3600)?,
            invitation_window_seconds: number(&lookup, "INVITATION_WINDOW_SECONDS", 12 * 3600)?,
            invitation_email_only: match lookup("INVITATION_EMAIL_ONLY").as_deref() {
                None | Some("" | "0") => false,
                Some("1") => true,
                Some(_) => return Err(ConfigError::Invalid("INVITATION_EMAIL_ONLY", "use 0 or 1")),
            },
            metrics_stage: lookup("METRICS_STAGE").filter(|text| !text.is_empty()),
            rate_limit: rate_limit(&lookup)?,
            reason_required: flag(&lookup, "REASON_REQUIRED", false)?,
            study_grace: study_grace(&lookup)?,
            static_challenge: static_challenge(&lookup)?,
            exchanges_tokens: lookup(TOKEN_EXCHANGE_ISSUERS)
                .is_some_and(|list| TrustedIssuer::list(&list).is_ok_and(|issuers| !issuers.is_empty())),
        })
    }

    /// True when the deployment is reached by TLS, so that cookies can be kept to it.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.site_url.starts_with("https://")
    }
}

/// `true` or `false`.
fn flag(lookup: impl Fn(&str) -> Option<String>, name: &'static str, default: bool) -> Result<bool, ConfigError> {
    match lookup(name).as_deref() {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(ConfigError::Invalid(name, "use true or false")),
    }
}

fn rate_limit(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<RateLimit>, ConfigError> {
    const NAME: &str = "RATE_LIMIT_PER_MINUTE";
    let text = lookup(NAME).unwrap_or_else(|| "3000".to_owned());
    let requests = text.parse().map_err(|_| ConfigError::Invalid(NAME, "use a number of requests, or 0"))?;
    Ok(RateLimit::per_minute(requests))
}

/// The challenge that was set, or that the verifier makes. Older deployments set both.
fn static_challenge(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Challenge>, ConfigError> {
    const VERIFIER: &str = "PATIENT_AUTHORIZATION_CODE_VERIFIER";
    const CHALLENGE: &str = "PATIENT_AUTHORIZATION_CODE_CHALLENGE";
    let set = |name: &str| lookup(name).filter(|text| !text.is_empty());
    let verifier = set(VERIFIER).map(|text| {
        Verifier::parse(&text).ok_or(ConfigError::Invalid(VERIFIER, "it is not 43 to 128 unreserved characters"))
    });
    let challenge = set(CHALLENGE)
        .map(|text| Challenge::parse(&text).ok_or(ConfigError::Invalid(CHALLENGE, "it is not a SHA-256 in base64url")));
    match (verifier.transpose()?, challenge.transpose()?) {
        (Some(verifier), Some(challenge)) if !challenge.is_met_by(&verifier) => {
            Err(ConfigError::Invalid(CHALLENGE, "it is not the challenge of the verifier"))
        }
        (_, Some(challenge)) => Ok(Some(challenge)),
        (Some(verifier), None) => Ok(Some(verifier.challenge())),
        (None, None) => Ok(None),
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

/// Days to finish in what was begun: to lock the data set and check it once more. None at all is a choice, too.
fn study_grace(lookup: impl Fn(&str) -> Option<String>) -> Result<SignedDuration, ConfigError> {
    const NAME: &str = "STUDY_GRACE_DAYS";
    let Some(text) = lookup(NAME) else { return Ok(SignedDuration::from_hours(30 * 24)) };
    let days = text.parse().ok().filter(|days| (0..=3660).contains(days));
    days.map(|days: i64| SignedDuration::from_hours(days * 24)).ok_or(ConfigError::Invalid(NAME, "use 0 to 3660 days"))
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
            ("CORS_ALLOWED_ORIGINS", "*"),
            ("ACCESS_TOKEN_SECONDS", "0"),
            ("ACCESS_TOKEN_SECONDS", "-5"),
            ("INVITATION_SECONDS", "week"),
            ("INVITATION_EMAIL_ONLY", "sometimes"),
            ("PATIENT_AUTHORIZATION_CODE_VERIFIER", "short"),
            ("PATIENT_AUTHORIZATION_CODE_CHALLENGE", "short"),
            ("SESSION_SECONDS", "9223372036854775807"),
            ("SESSION_IDLE_SECONDS", "0"),
            ("STUDY_GRACE_DAYS", "-1"),
            ("STUDY_GRACE_DAYS", "month"),
            ("STUDY_GRACE_DAYS", "99999"),
            ("REQUIRE_SECOND_FACTOR_FOR_SUPER_ADMINS", "no"),
            ("RATE_LIMIT_PER_MINUTE", "-1"),
            ("RATE_LIMIT_PER_MINUTE", "many"),
            ("REASON_REQUIRED", "1"),
            ("REQUIRE_PUSHED_AUTHORIZATION_REQUESTS", "1"),
            ("REQUIRE_BOUND_TOKENS", "1"),
            ("REQUIRE_CLIENT_KEYS", "yes"),
            ("REQUIRE_RECENT_SIGN_IN_FOR_SUPER_ADMINS", ""),
        ] {
            let error = settings(&[("SITE_URL", "https://a"), (name, value)]).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn the_rate_is_limited_unless_it_is_switched_off() {
        for (value, expected) in [(None, 3000), (Some("0"), 0), (Some("60"), 60)] {
            let pairs: Vec<_> = [("SITE_URL", "https://a")]
                .into_iter()
                .chain(value.map(|value| ("RATE_LIMIT_PER_MINUTE", value)))
                .collect();
            assert_eq!(settings(&pairs).unwrap().rate_limit, RateLimit::per_minute(expected), "{value:?}");
        }
    }

    #[test]
    fn the_grace_period_of_studies_can_be_none() {
        for (pairs, days) in [(&[][..], 30), (&[("STUDY_GRACE_DAYS", "0")], 0), (&[("STUDY_GRACE_DAYS", "3660")], 3660)]
        {
            let pairs = [&[("SITE_URL", "https://a")], pairs].concat();
            assert_eq!(settings(&pairs).unwrap().study_grace.as_hours(), days * 24, "{pairs:?}");
        }
    }

    // RFC 7636 appendix B.
    const VERIFIER: (&str, &str) =
        ("PATIENT_AUTHORIZATION_CODE_VERIFIER", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    const CHALLENGE: (&str, &str) =
        ("PATIENT_AUTHORIZATION_CODE_CHALLENGE", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");

    #[test]
    fn the_fixed_challenge_is_set_or_made_of_the_verifier() {
        for (pairs, expected) in [
            (&[][..], None),
            (&[VERIFIER], Some(CHALLENGE.1)),
            (&[CHALLENGE], Some(CHALLENGE.1)),
            (&[VERIFIER, CHALLENGE], Some(CHALLENGE.1)),
            (&[(VERIFIER.0, ""), (CHALLENGE.0, "")], None),
        ] {
            let pairs = [&[("SITE_URL", "https://a")], pairs].concat();
            let challenge = settings(&pairs).unwrap().static_challenge;
            assert_eq!(challenge.as_ref().map(Challenge::as_str), expected, "{pairs:?}");
        }
        let other = (VERIFIER.0, "a_verifier_that_makes_another_challenge_than_that");
        let error = settings(&[("SITE_URL", "https://a"), other, CHALLENGE]).unwrap_err().to_string();
        assert!(error.contains(CHALLENGE.0) && !error.contains(other.1), "{error}");
    }
}
