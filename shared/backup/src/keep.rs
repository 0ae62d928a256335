//! How long backups are kept: the newest of each of the last days, weeks, months and years.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::collections::BTreeSet;

/// How many of each are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Days.
    pub daily: usize,
    /// Weeks (ISO 8601).
    pub weekly: usize,
    /// Months.
    pub monthly: usize,
    /// Years.
    pub yearly: usize,
}

impl Policy {
    /// As these settings say, and 35 days, 12 weeks, 12 months and 7 years where they say nothing. Fails with the name of the one
    /// that is no number.
    pub fn of(setting: impl Fn(&str) -> Option<String>) -> Result<Self, &'static str> {
        let number = |name: &'static str, default: usize| {
            setting(name).map_or(Ok(default), |text| text.parse().map_err(|_| name))
        };
        Ok(Self {
            daily: number("BACKUP_KEEP_DAYS", 35)?,
            weekly: number("BACKUP_KEEP_WEEKS", 12)?,
            monthly: number("BACKUP_KEEP_MONTHS", 12)?,
            yearly: number("BACKUP_KEEP_YEARS", 7)?,
        })
    }
}

/// Whether a backup is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is one that the policy wants.
    Yes,
    /// Nothing wants it any more.
    No,
}

/// The period that a day is in, as a number in a year.
type Period = fn(Date) -> (i16, i16);

/// For each of these times whether the backup of it is kept. The newest one always is. Periods without a backup do not count:
/// after a long pause the old ones are still there.
#[must_use]
pub fn kept(times: &[Timestamp], policy: Policy) -> Vec<Kept> {
    let mut wanted = BTreeSet::new();
    let periods: [(usize, Period); 4] = [
        (policy.daily, |date| (date.year(), date.day_of_year())),
        (policy.weekly, |date| (date.iso_week_date().year(), i16::from(date.iso_week_date().week()))),
        (policy.monthly, |date| (date.year(), i16::from(date.month()))),
        (policy.yearly, |date| (date.year(), 0)),
    ];
    let mut newest_first = times.to_vec();
    newest_first.sort_unstable_by(|one, other| other.cmp(one));
    wanted.extend(newest_first.first());
    for (count, period) in periods {
        let mut seen = BTreeSet::new();
        for time in &newest_first {
            if seen.len() < count && seen.insert(period(TimeZone::UTC.to_datetime(*time).date())) {
                wanted.insert(*time);
            }
        }
    }
    times.iter().map(|time| if wanted.contains(time) { Kept::Yes } else { Kept::No }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    const POLICY: Policy = Policy { daily: 35, weekly: 12, monthly: 12, yearly: 7 };

    /// One a day, for so many days.
    fn days(count: i64) -> Vec<Timestamp> {
        let end: Timestamp = "2026-03-01T03:00:00Z".parse().unwrap();
        (0..count).map(|day| end - SignedDuration::from_hours(24 * day)).collect()
    }

    fn left(times: &[Timestamp], policy: Policy) -> Vec<Timestamp> {
        let kept = kept(times, policy);
        times.iter().zip(kept).filter(|(_, kept)| *kept == Kept::Yes).map(|(time, _)| *time).collect()
    }

    #[test]
    fn ten_years_of_days_become_some_dozens() {
        let left = left(&days(3653), POLICY);
        // 35 days; of the twelve weeks those before; of the months and years likewise.
        assert_eq!(left.len(), 35 + 7 + 9 + 5, "{left:?}");
        assert_eq!(left.first(), days(1).first());
        assert_eq!(left.last().unwrap().to_string(), "2020-12-31T03:00:00Z");
    }

    #[test]
    fn the_newest_stays_whatever_the_policy() {
        let none = Policy { daily: 0, weekly: 0, monthly: 0, yearly: 0 };
        assert_eq!(left(&days(3), none), days(1));
        assert!(left(&[], POLICY).is_empty());
    }

    #[test]
    fn a_policy_is_what_the_settings_say_and_a_default() {
        assert_eq!(Policy::of(|_| None), Ok(POLICY));
        let days =
            |text: &'static str| Policy::of(move |name: &str| (name == "BACKUP_KEEP_DAYS").then(|| text.to_owned()));
        assert_eq!(days("7"), Ok(Policy { daily: 7, ..POLICY }));
        assert_eq!((days("-1"), days("a week")), (Err("BACKUP_KEEP_DAYS"), Err("BACKUP_KEEP_DAYS")));
    }

    #[test]
    fn keeping_twice_keeps_the_same() {
        let once = left(&days(800), POLICY);
        assert_eq!(left(&once, POLICY), once);
    }

    #[test]
    fn of_several_in_a_day_the_last_stays() {
        let hours: Vec<Timestamp> = ["2026-03-01T01:00:00Z", "2026-03-01T23:00:00Z", "2026-02-28T12:00:00Z"]
            .map(|text| text.parse().unwrap())
            .into();
        let daily = Policy { daily: 2, weekly: 0, monthly: 0, yearly: 0 };
        assert_eq!(left(&hours, daily), hours[1..]);
    }
}
