//! Where and when people work, and when an account sleeps.

use runtime::{App, Failure};
use store::OfficeHours;

/// A setting cannot be used. The text names it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unusable(&'static str);

/// `SECURITY_TIME_ZONE` (UTC), `SECURITY_OFFICE_HOURS` (7-19, from Monday to Friday), `SECURITY_DORMANT_DAYS` (60).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub office: OfficeHours,
    pub dormant_days: i32,
}

impl Settings {
    pub(crate) fn of(app: &App) -> Result<Self, Failure> {
        Self::from_env(|name| app.variable(name)).map_err(|error| Failure::Internal(Box::new(error)))
    }

    fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Unusable> {
        let set = |name: &str, default: &str| {
            lookup(name).filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned())
        };
        let (opens, closes) = hours(&set("SECURITY_OFFICE_HOURS", "7-19"))
            .ok_or(Unusable("SECURITY_OFFICE_HOURS has to be two hours of a day, such as 7-19"))?;
        let days = set("SECURITY_DORMANT_DAYS", "60").parse().ok().filter(|days| (7..=365).contains(days));
        Ok(Self {
            office: OfficeHours { zone: set("SECURITY_TIME_ZONE", "UTC"), opens, closes },
            dormant_days: days.ok_or(Unusable("SECURITY_DORMANT_DAYS has to be 7 to 365 days"))?,
        })
    }
}

fn hours(text: &str) -> Option<(i32, i32)> {
    let (opens, closes) = text.split_once('-')?;
    let (opens, closes) = (opens.parse().ok()?, closes.parse().ok()?);
    (0 <= opens && opens < closes && closes <= 24).then_some((opens, closes))
}

/// The database has no such time zone.
pub(crate) fn unknown_zone() -> Failure {
    Failure::Internal(Box::new(Unusable("SECURITY_TIME_ZONE is no time zone, such as Europe/Berlin")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, Unusable> {
        Settings::from_env(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn by_default_offices_are_open_from_seven_to_seven() {
        let office = OfficeHours { zone: "UTC".to_owned(), opens: 7, closes: 19 };
        assert_eq!(settings(&[("SECURITY_TIME_ZONE", "")]).unwrap(), Settings { office, dormant_days: 60 });
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (name, value) in [
            ("SECURITY_OFFICE_HOURS", "7"),
            ("SECURITY_OFFICE_HOURS", "19-7"),
            ("SECURITY_OFFICE_HOURS", "7-25"),
            ("SECURITY_DORMANT_DAYS", "0"),
            ("SECURITY_DORMANT_DAYS", "month"),
        ] {
            let error = settings(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
