//! What there is to do, and what is missing: by the snapshots that there are and the time. Nothing here asks AWS.

use backup::{Kept, Policy, kept};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// A snapshot is taken when the last one is older.
const DUE: SignedDuration = SignedDuration::from_hours(20);

/// The newest one may be so old. One that is being made for longer will not be finished.
const LATE: SignedDuration = SignedDuration::from_hours(36);

/// Regions take twenty copies at once, from whomever.
const COPIES_AT_ONCE: usize = 5;

/// How the name of a snapshot says its time.
const TIME: &str = "%Y%m%dt%H%M%S";

/// How far a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It can be restored.
    Ready,
    /// It is being made or copied.
    Making,
    /// It will never be.
    Failed,
}

/// A snapshot that this function took, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub id: String,
    pub arn: String,
    /// By its name.
    pub at: Timestamp,
    pub state: State,
    /// The key that it is encrypted by.
    pub key: Option<String>,
    /// Whether it has our tag. What has none is not ours to delete.
    pub is_tagged: bool,
}

/// Which of the two regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    Own,
    Second,
}

/// The name of a snapshot of this instance, taken at this time.
pub(crate) fn name(instance: &str, at: Timestamp) -> String {
    format!("{instance}-{}", at.strftime(TIME))
}

/// The time of a snapshot of this instance, by its name. None: somebody else made it.
pub(crate) fn time_of(instance: &str, name: &str) -> Option<Timestamp> {
    let time = name.strip_prefix(instance)?.strip_prefix('-')?;
    TimeZone::UTC.to_timestamp(DateTime::strptime(TIME, time).ok()?).ok()
}

/// The newest of those that can be restored.
pub(crate) fn newest(snapshots: &[Snapshot]) -> Option<&Snapshot> {
    snapshots.iter().filter(|one| one.state == State::Ready).max_by_key(|one| one.at)
}

/// What there is to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Take one of this name.
    pub take: Option<String>,
    /// Copy these to the second region.
    pub copy: Vec<Snapshot>,
    /// Delete these.
    pub forget_here: Vec<String>,
    /// Delete these in the second region.
    pub forget_there: Vec<String>,
}

impl Plan {
    /// By what is here, and in the second region if there is one.
    pub fn of(now: Timestamp, instance: &str, keep: Policy, here: &[Snapshot], there: Option<&[Snapshot]>) -> Self {
        let is_recent = |one: &Snapshot| one.state != State::Failed && now.duration_since(one.at) < DUE;
        Self {
            take: (!here.iter().any(is_recent)).then(|| name(instance, now)),
            copy: there.map(|there| to_copy(keep, here, there)).unwrap_or_default(),
            forget_here: to_forget(now, keep, here),
            forget_there: there.map(|there| to_forget(now, keep, there)).unwrap_or_default(),
        }
    }
}

/// Those that can be restored and are kept, from the newest.
fn wanted(keep: Policy, snapshots: &[Snapshot]) -> Vec<&Snapshot> {
    let mut ready: Vec<&Snapshot> = snapshots.iter().filter(|one| one.state == State::Ready).collect();
    ready.sort_by_key(|one| std::cmp::Reverse(one.at));
    let times: Vec<Timestamp> = ready.iter().map(|one| one.at).collect();
    ready.into_iter().zip(kept(&times, keep)).filter(|(_, kept)| *kept == Kept::Yes).map(|(one, _)| one).collect()
}

/// What is kept here and not there, the newest first.
fn to_copy(keep: Policy, here: &[Snapshot], there: &[Snapshot]) -> Vec<Snapshot> {
    let under_way = there.iter().filter(|copy| copy.state == State::Making).count();
    let is_there = |one: &Snapshot| there.iter().any(|copy| copy.id == one.id);
    let missing = wanted(keep, here).into_iter().filter(|one| one.key.is_some() && !is_there(one));
    missing.take(COPIES_AT_ONCE.saturating_sub(under_way)).cloned().collect()
}

/// What no period wants any more, and what failed. What has not our tag stays.
fn to_forget(now: Timestamp, keep: Policy, snapshots: &[Snapshot]) -> Vec<String> {
    let wanted = wanted(keep, snapshots);
    let is_over = |one: &Snapshot| match one.state {
        State::Ready => !wanted.iter().any(|kept| kept.id == one.id),
        State::Making => false,
        State::Failed => now.duration_since(one.at) > LATE,
    };
    snapshots.iter().filter(|one| one.is_tagged && is_over(one)).map(|one| one.id.clone()).collect()
}

/// What is not as it must be in a region, in words. `key` is the one that all have to be encrypted by, if it is given.
pub(crate) fn findings(
    now: Timestamp,
    keep: Policy,
    region: Region,
    snapshots: &[Snapshot],
    key: Option<&str>,
) -> Vec<String> {
    let place = match region {
        Region::Own => "",
        Region::Second => " in the second region",
    };
    let mut found = Vec::new();
    // Here one was taken just now if there was none; there, the first copy is made when the first one is ready.
    if region == Region::Own && snapshots.is_empty() {
        found.push("there is none at all".to_owned());
    }
    let is_first_day = snapshots.iter().all(|one| now.duration_since(one.at) <= LATE);
    if !is_first_day && newest(snapshots).is_none_or(|newest| now.duration_since(newest.at) > LATE) {
        found.push(format!("there is none of the last {} hours{place}", LATE.as_hours()));
    }
    for one in snapshots {
        let id = &one.id;
        match (&one.key, key) {
            _ if one.state == State::Failed => found.push(format!("{id} failed{place}")),
            (None, _) => found.push(format!("{id} is not encrypted{place}")),
            (Some(its), Some(key)) if its != key => found.push(format!("{id} is encrypted by another key{place}")),
            _ => {}
        }
        if !one.is_tagged {
            found.push(format!("{id} is not tagged{place}"));
        }
    }
    let most = keep.daily + keep.weekly + keep.monthly + keep.yearly;
    let left = snapshots.iter().filter(|one| one.state == State::Ready && one.is_tagged).count();
    if left > most.max(1) {
        found.push(format!("there are {left}, and the policy keeps {most} at most{place}"));
    }
    found
}

#[cfg(test)]
mod tests;
