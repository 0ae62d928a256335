//! The life of a study: which status may follow which, and until when its researchers have access. Pure.
//!
//! The database keeps what [`Life::access`] says in the column `study.access_until`, and the view `practitioner_permit` compares
//! it with the clock at every query. So nothing has to run when a study ends.

use jiff::{
    SignedDuration, Timestamp,
    civil::Date,
    tz::{Offset, TimeZone},
};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Where a study is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StudyStatus {
    /// It is being prepared: nobody is enrolled, nobody sees anything.
    Draft,
    /// It is running.
    Active,
    /// It has ended; its researchers finish what they have begun.
    Completed,
    /// It is kept for the record. Nobody sees anything by it.
    Archived,
}

impl StudyStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Draft, Self::Active, Self::Completed, Self::Archived];

    /// Its name in the database and on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Archived => "archived",
        }
    }

    /// Whether a study of this status may be given that one. Nothing becomes a draft again: patients have decided about what
    /// they were shown. Nothing leaves the archive. A completed study may be taken up again; [`Life::followed_by`] says until when.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Draft => !matches!(next, Self::Completed),
            Self::Active | Self::Completed => !matches!(next, Self::Draft),
            Self::Archived => matches!(next, Self::Archived),
        }
    }
}

/// The text is not the name of a status.
#[derive(Debug, thiserror::Error)]
#[error("not a status of a study")]
pub struct NotAStatus;

impl FromStr for StudyStatus {
    type Err = NotAStatus;

    fn from_str(text: &str) -> Result<Self, NotAStatus> {
        Self::ALL.into_iter().find(|status| status.name() == text).ok_or(NotAStatus)
    }
}

/// Until when the researchers of a study see what patients have consented to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessUntil {
    /// Not at all.
    Never,
    /// Before this instant.
    Until(Timestamp),
    /// As long as nothing changes.
    Always,
}

impl AccessUntil {
    /// Whether researchers have access at an instant.
    #[must_use]
    pub fn allows(self, now: Timestamp) -> bool {
        match self {
            Self::Never => false,
            Self::Until(end) => now < end,
            Self::Always => true,
        }
    }
}

/// What a study's life is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its status.
    pub status: StudyStatus,
    /// The day on which it starts, as planned.
    pub starts_on: Option<Date>,
    /// The last day on which it runs.
    pub ends_on: Option<Date>,
    /// Until when researchers have access.
    pub access: AccessUntil,
}

/// What of a study's life can be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its status.
    pub status: StudyStatus,
    /// The day on which it starts.
    pub starts_on: Option<Date>,
    /// The last day on which it runs.
    pub ends_on: Option<Date>,
}

/// Why a life does not follow another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifeError {
    /// The last day is before the first.
    #[error("the study would end before it starts")]
    EndsBeforeStart,
    /// A study begins as a draft or active.
    #[error("a new study is a draft or active")]
    NotABeginning,
    /// The status does not follow.
    #[error("this status does not follow the present one")]
    DoesNotFollow,
    /// Patients were told that researchers no longer see their data.
    #[error("access has ended with the study and is not opened again")]
    HasEnded,
    /// The archive keeps a study as it was.
    #[error("an archived study is kept as it is")]
    IsArchived,
}

/// The end of a day, by UTC.
fn end_of(day: Date) -> Option<Timestamp> {
    let next = day.tomorrow().ok()?;
    Offset::UTC.to_timestamp(next.into()).ok()
}

impl Plan {
    /// The end of the grace period after the last day. A time that no calendar holds is never reached.
    fn access_by_date(self, grace: SignedDuration) -> AccessUntil {
        let Some(day) = self.ends_on else { return AccessUntil::Always };
        end_of(day).and_then(|end| end.checked_add(grace).ok()).map_or(AccessUntil::Always, AccessUntil::Until)
    }

    fn check(self) -> Result<(), LifeError> {
        match (self.starts_on, self.ends_on) {
            (Some(start), Some(end)) if end < start => Err(LifeError::EndsBeforeStart),
            _ => Ok(()),
        }
    }

    /// The life of a new study. `grace` is how long researchers keep access after the end.
    pub fn begins(self, grace: SignedDuration) -> Result<Life, LifeError> {
        self.check()?;
        let access = match self.status {
            StudyStatus::Draft => AccessUntil::Never,
            StudyStatus::Active => self.access_by_date(grace),
            StudyStatus::Completed | StudyStatus::Archived => return Err(LifeError::NotABeginning),
        };
        Ok(self.with(access))
    }

    /// Whether the study has ended: it is completed or archived, or its last day has passed (by UTC). It takes no new patients,
    /// consents, invitations or requests.
    #[must_use]
    pub fn has_ended(self, now: Timestamp) -> bool {
        match self.status {
            StudyStatus::Completed | StudyStatus::Archived => true,
            StudyStatus::Draft | StudyStatus::Active => {
                self.ends_on.is_some_and(|day| day < now.to_zoned(TimeZone::UTC).date())
            }
        }
    }

    /// Whether patients can be enrolled and consent now: it is active and has not ended.
    #[must_use]
    pub fn is_open(self, now: Timestamp) -> bool {
        self.status == StudyStatus::Active && !self.has_ended(now)
    }

    const fn with(self, access: AccessUntil) -> Life {
        Life { status: self.status, starts_on: self.starts_on, ends_on: self.ends_on, access }
    }
}

impl Life {
    /// The same without the access.
    #[must_use]
    pub const fn plan(self) -> Plan {
        Plan { status: self.status, starts_on: self.starts_on, ends_on: self.ends_on }
    }

    /// The life after a change at `now`. Access that has ended stays so: neither a later last day nor another status opens it
    /// again, since patients were told that it is closed. Within the grace period both do.
    pub fn followed_by(self, plan: Plan, now: Timestamp, grace: SignedDuration) -> Result<Self, LifeError> {
        if !self.status.may_become(plan.status) {
            return Err(LifeError::DoesNotFollow);
        }
        if self.status == StudyStatus::Archived && plan != self.plan() {
            return Err(LifeError::IsArchived);
        }
        plan.check()?;
        if (self.status, self.ends_on) == (plan.status, plan.ends_on) {
            // The end does not move because a name is changed, nor because the deployment chose another grace period.
            return Ok(plan.with(self.access));
        }
        let by_date = plan.access_by_date(grace);
        let access = match plan.status {
            StudyStatus::Draft | StudyStatus::Archived => AccessUntil::Never,
            StudyStatus::Active => by_date,
            StudyStatus::Completed if self.status == StudyStatus::Completed => self.access.min(by_date),
            // Not later than it would have been without: the last day may have passed.
            StudyStatus::Completed => {
                now.checked_add(grace).map_or(AccessUntil::Never, AccessUntil::Until).min(by_date).min(self.access)
            }
        };
        let has_ended = matches!(self.status, StudyStatus::Active | StudyStatus::Completed) && !self.access.allows(now);
        if has_ended && access.allows(now) { Err(LifeError::HasEnded) } else { Ok(plan.with(access)) }
    }
}

#[cfg(test)]
mod tests;
