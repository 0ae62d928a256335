//! What a check found.

use audit::Hash;
use jiff::Timestamp;
use runtime::Failure;
use serde::Serialize;
use std::fmt;
use store::Store;

/// So many findings are listed. The rest is counted.
const LISTED: usize = 100;

/// The last seal. Who keeps its hash elsewhere can ask for it later: see [`crate::Extent`].
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Last {
    /// Its number.
    pub sequence: i64,
    /// The hash of its head.
    pub head: Hash,
}

/// What is not sealed yet.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Unsealed {
    /// When the oldest event was that no seal covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsealed_since: Option<Timestamp>,
    /// How long ago that was.
    pub seal_lag_seconds: i64,
}

impl Unsealed {
    /// Of what comes after the last seal.
    pub(crate) async fn find(store: &Store, end: Timestamp, now: Timestamp) -> Result<Self, Failure> {
        let unsealed_since = store.first_event_from(end).await?;
        let lag = unsealed_since.map_or(0, |since| now.duration_since(since).as_secs().max(0));
        Ok(Self { unsealed_since, seal_lag_seconds: lag })
    }
}

/// Something that is not as it was sealed, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The number of the seal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<i64>,
    /// The number of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<i64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, number) in [("seal", self.seal), ("event", self.event)] {
            if let Some(number) = number {
                write!(f, "{name} {number}: ")?;
            }
        }
        f.write_str(&self.what)
    }
}

/// What was checked and found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// How many seals were checked.
    pub seals: u64,
    /// How many events were hashed again.
    pub events: u64,
    /// The last seal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Last>,
    /// What is not sealed yet.
    #[serde(flatten)]
    pub unsealed: Unsealed,
    /// What is wrong, the first of it.
    pub findings: Vec<Finding>,
    /// How much more is wrong.
    pub more_findings: u64,
}

impl Report {
    /// Whether all is as it was sealed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }

    /// How much is wrong.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::try_from(self.findings.len()).unwrap_or(u64::MAX).saturating_add(self.more_findings)
    }

    pub(crate) fn add(&mut self, seal: Option<i64>, event: Option<i64>, what: impl Into<String>) {
        if self.findings.len() < LISTED {
            self.findings.push(Finding { seal, event, what: what.into() });
        } else {
            self.more_findings += 1;
        }
    }

    /// The same for a row of seals.
    pub(crate) fn add_seals(&mut self, numbers: std::ops::Range<i64>, what: &str) {
        let room = LISTED.saturating_sub(self.findings.len());
        let count = usize::try_from(numbers.end.saturating_sub(numbers.start)).unwrap_or_default();
        for number in numbers.take(room) {
            self.add(Some(number), None, what);
        }
        self.more_findings += u64::try_from(count.saturating_sub(room)).unwrap_or(u64::MAX);
    }
}

/// What is wrong, in lines.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            write!(f, "\n- {finding}")?;
        }
        if self.more_findings > 0 {
            write!(f, "\n- and {} more", self.more_findings)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_listed_as_far_as_a_person_reads_and_the_rest_is_counted() {
        let mut report = Report::default();
        assert!(report.is_good());
        report.add(Some(3), Some(17), "it was changed");
        report.add(None, None, "late");
        report.add_seals(5..7, "it is missing");
        assert_eq!(
            report.to_string(),
            "\n- seal 3: event 17: it was changed\n- late\n- seal 5: it is missing\n- seal 6: it is missing"
        );
        report.add_seals(10..i64::MAX, "it is missing");
        report.add(None, None, "late");
        assert_eq!((report.findings.len(), report.is_good()), (LISTED, false));
        let hidden = u64::try_from(i64::MAX).unwrap() - 10 - 96 + 1;
        assert_eq!(report.more_findings, hidden);
        assert!(report.to_string().ends_with(&format!("- and {hidden} more")));
    }
}
