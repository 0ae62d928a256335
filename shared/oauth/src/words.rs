//! What a client may do, in words for the person whose access it is (OWASP ASVS 5.0 10.7.2 and 10.7.3). Texts, no markup.

use jiff::SignedDuration;

use crate::grant::Lifetimes;
use crate::resource::Audience;
use crate::scope::{EMAIL, FHIR_USER, LAUNCH_PATIENT, OFFLINE_ACCESS, ONLINE_ACCESS, OPENID, PROFILE, Scope};
use crate::smart::{self, Interaction, Level, SmartScope};

const DAY: i64 = 24 * 60 * 60;

/// What a scope lets a client do. A client of whole access that names no SMART scope acts for the user in everything.
#[must_use]
pub fn of_scope(scope: &Scope, whole_access: bool) -> Vec<String> {
    let everything = whole_access && !smart::is_named(scope);
    let first = everything.then(|| "see and do what you can see and do there".to_owned());
    first.into_iter().chain(scope.iter().map(of_token)).collect()
}

/// What one token of a scope lets a client do.
#[must_use]
pub fn of_token(token: &str) -> String {
    match token {
        OPENID => "know the number of your account".to_owned(),
        EMAIL => "see your e-mail address".to_owned(),
        PROFILE => "see your name".to_owned(),
        FHIR_USER => "know which patient or practitioner you are".to_owned(),
        LAUNCH_PATIENT => "know which patient you are".to_owned(),
        OFFLINE_ACCESS => "go on while you are not using it".to_owned(),
        ONLINE_ACCESS => "go on while you are using it".to_owned(),
        other => SmartScope::parse(other).map_or_else(|| other.to_owned(), |smart| records(&smart)),
    }
}

/// Where else than here a client takes the access.
#[must_use]
pub fn of_audience(audience: &Audience, site_url: &str) -> Vec<String> {
    audience.elsewhere(site_url).map(|uri| format!("show who you are to {uri}")).collect()
}

/// How long an access lasts at most. `renews`: the client may get new tokens for it.
#[must_use]
pub fn of_duration(lifetimes: &Lifetimes, scope: &Scope, renews: bool) -> String {
    if !renews {
        return format!("It lasts {}.", span(lifetimes.access));
    }
    let longest = span(lifetimes.longest(scope));
    if lifetimes.refresh < lifetimes.longest(scope) {
        let unused = span(lifetimes.refresh);
        format!("It lasts {longest} at most, and ends after {unused} without use. You can end it at any time.")
    } else {
        format!("It lasts {longest} at most. You can end it at any time.")
    }
}

/// A time, never less than it is.
fn span(time: SignedDuration) -> String {
    let (count, unit) = match time.as_secs() {
        seconds if seconds >= 2 * DAY => (seconds.div_euclid(DAY) + i64::from(seconds % DAY > 0), "days"),
        seconds if seconds >= 2 * 3600 => (seconds.div_euclid(3600) + i64::from(seconds % 3600 > 0), "hours"),
        seconds if seconds >= 120 => (seconds.div_euclid(60) + i64::from(seconds % 60 > 0), "minutes"),
        seconds => (seconds, "seconds"),
    };
    format!("{count} {unit}")
}

/// What a SMART scope means to a person.
fn records(scope: &SmartScope<'_>) -> String {
    let verbs: Vec<&str> = scope
        .interactions()
        .map(|interaction| match interaction {
            Interaction::Create => "add",
            Interaction::Read => "read",
            Interaction::Update => "change",
            Interaction::Delete => "delete",
            Interaction::Search => "search",
        })
        .collect();
    let what = scope.resource().map_or_else(|| "records of every kind".to_owned(), |kind| format!("{kind} records"));
    let whose = match scope.level() {
        Level::Patient => "about you",
        Level::User | Level::System => "that you have access to",
    };
    format!("{} {what} {whose}", verbs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_whether_the_app_may_do_everything_or_what() {
        let everything = "see and do what you can see and do there";
        for (scope, whole_access, expected) in [
            ("openid", true, vec![everything, "know the number of your account"]),
            ("openid", false, vec!["know the number of your account"]),
            ("email online_access", false, vec!["see your e-mail address", "go on while you are using it"]),
            ("patient/Observation.rs", true, vec!["read, search Observation records about you"]),
            ("user/*.read", false, vec!["read, search records of every kind that you have access to"]),
            ("other", false, vec!["other"]),
        ] {
            assert_eq!(of_scope(&Scope::parse(scope).unwrap(), whole_access), expected, "{scope} {whole_access}");
        }
    }

    #[test]
    fn a_person_reads_where_else_the_access_goes() {
        let audience = Audience::of(vec!["https://e.example/FHIR/R5".to_owned(), "https://api.example".to_owned()]);
        assert_eq!(of_audience(&audience, "https://e.example"), ["show who you are to https://api.example"]);
        assert!(of_audience(&Audience::default(), "https://e.example").is_empty());
    }

    #[test]
    fn a_person_reads_how_long_it_lasts_asvs_10_7_2() {
        let lifetimes = Lifetimes::default();
        let words = |scope: &str, renews| of_duration(&lifetimes, &Scope::parse(scope).unwrap(), renews);
        assert_eq!(words("openid", false), "It lasts 15 minutes.");
        let long = "It lasts 365 days at most, and ends after 14 days without use. You can end it at any time.";
        assert_eq!(words("openid offline_access", true), long);
        assert_eq!(words("openid online_access", true), "It lasts 12 hours at most. You can end it at any time.");
        for (seconds, expected) in
            [(90, "90 seconds"), (150, "3 minutes"), (2 * DAY, "2 days"), (2 * DAY + 1, "3 days")]
        {
            assert_eq!(span(SignedDuration::from_secs(seconds)), expected);
        }
    }
}
