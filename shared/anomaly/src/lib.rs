//! What is unusual in the audit. Pure: figures in, findings out.
//!
//! An account's day is measured against its own days before and against those of everybody with its role. Both are told by
//! quantiles of logarithms, which a few strange days do not move, so that a thief cannot teach the monitor by stealing, and
//! nobody's bad day hides the next one. Decision 48 has the reasons, `docs/benchmarks.md` how well it does.

mod usual;

pub use usual::Usual;

/// What can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody read far more than usual.
    Volume,
    /// Somebody read of far more people than usual.
    Breadth,
    /// Somebody was refused far more often than usual.
    Refusals,
    /// Somebody changed far more consents within an hour than usual.
    ConsentChanges,
    /// A super admin worked outside office hours, who usually does not.
    PrivilegedOutOfHours,
    /// An account was used that nobody had used for long.
    DormantAccount,
    /// Many wrong attempts to sign in to one account.
    FailedSignInsOfAccount,
    /// Many wrong attempts to sign in from one address.
    FailedSignInsFromAddress,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Volume,
        Self::Breadth,
        Self::Refusals,
        Self::ConsentChanges,
        Self::PrivilegedOutOfHours,
        Self::DormantAccount,
        Self::FailedSignInsOfAccount,
        Self::FailedSignInsFromAddress,
    ];

    /// Its name in the database and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Breadth => "breadth",
            Self::Refusals => "refusals",
            Self::ConsentChanges => "consent_changes",
            Self::PrivilegedOutOfHours => "privileged_out_of_hours",
            Self::DormantAccount => "dormant_account",
            Self::FailedSignInsOfAccount => "failed_sign_ins_of_account",
            Self::FailedSignInsFromAddress => "failed_sign_ins_from_address",
        }
    }
}

/// Something unusual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anomaly {
    /// Of which kind.
    pub kind: Kind,
    /// How much there was.
    pub measured: i64,
    /// The most that would have been usual.
    pub expected: f64,
    /// How far beyond it is: in spreads, where there is a spread.
    pub score: f64,
}

/// What is measured of an account's day, in the order of every array here.
pub const MEASURED: [Kind; 5] =
    [Kind::Volume, Kind::Breadth, Kind::Refusals, Kind::ConsentChanges, Kind::PrivilegedOutOfHours];

/// Less than this is nothing to tell anybody, however unusual it is.
pub const LEAST: [i64; 5] = [500, 15, 10, 10, 1];

/// The wrong attempts on one account in a day that are too many: people mistype two or three times.
pub const LEAST_OF_ACCOUNT: i64 = 10;

/// The wrong attempts from one address in a day that are too many, if more are wrong than right: behind one address can be a
/// whole hospital.
pub const LEAST_FROM_ADDRESS: i64 = 20;

/// The spread that a measure has at least, in logarithms: what nobody has ever done is not infinitely unusual.
const LEAST_SPREAD: [f64; 5] = [0.25, 0.25, 0.5, 0.4, 0.5];

/// Days on which an account did something that say what is usual for it.
const ENOUGH_DAYS: usize = 8;

/// Days of people with a role that say what is usual for it.
const ENOUGH_PEER_DAYS: i64 = 20;

/// How far from what is usual for the account, if it is unusual for the role too.
const FAR_FROM_OWN: f64 = 4.0;

/// How far from what is usual for the role that is.
const FAR_FROM_PEERS: f64 = 1.5;

/// How far from the one, where nothing is known of the other.
const FAR_ALONE: f64 = 5.0;

/// How far from what is usual for the account, whatever its peers do.
const FAR_IN_ANY_CASE: f64 = 8.0;

/// The share of days on which a super admin works outside office hours who is expected to.
const ON_CALL: f64 = 0.2;

/// What is usual for a role.
#[derive(Clone, Copy, Debug)]
pub struct Peers<'a> {
    /// How many days of people this is.
    pub days: i64,
    /// The median and the quantiles 0.75 and 0.9 of each measure, as logarithms of five more.
    pub quantiles: [&'a [f64]; 5],
}

/// What is unusual about an account's day.
#[must_use]
pub fn of_day(today: &[i64; 5], before: &[Vec<i64>; 5], peers: Option<Peers<'_>>) -> Vec<Anomaly> {
    let peers = peers.filter(|peers| peers.days >= ENOUGH_PEER_DAYS);
    let mut found = Vec::new();
    for (index, kind) in MEASURED.into_iter().enumerate() {
        let (Some(measured), Some(before), Some(least), Some(spread)) =
            (today.get(index), before.get(index), LEAST.get(index), LEAST_SPREAD.get(index))
        else {
            continue;
        };
        if measured < least {
            continue;
        }
        if kind == Kind::PrivilegedOutOfHours {
            found.extend(out_of_hours(*measured, before));
            continue;
        }
        let own = Usual::of_days(before, ENOUGH_DAYS, *spread);
        let role =
            peers.and_then(|peers| peers.quantiles.get(index).and_then(|known| Usual::of_quantiles(known, *spread)));
        found.extend(beyond(*measured, own, role).map(|(expected, score)| Anomaly {
            kind,
            measured: *measured,
            expected,
            score,
        }));
    }
    found
}

/// The most that would have been usual, and how far beyond it is, if it is too far.
fn beyond(measured: i64, own: Option<Usual>, role: Option<Usual>) -> Option<(f64, f64)> {
    let (usual, score, is_far) = match (own, role) {
        (Some(own), Some(role)) => {
            let score = own.score(measured);
            let is_far = score >= FAR_FROM_OWN && role.score(measured) >= FAR_FROM_PEERS || score >= FAR_IN_ANY_CASE;
            (own, score, is_far)
        }
        (Some(usual), None) | (None, Some(usual)) => {
            let score = usual.score(measured);
            (usual, score, score >= FAR_ALONE)
        }
        (None, None) => return None,
    };
    is_far.then(|| (usual.bound(FAR_FROM_OWN), score))
}

fn out_of_hours(measured: i64, before: &[i64]) -> Option<Anomaly> {
    let on_call = before.iter().filter(|count| **count > 0).count();
    let is_usual = on_call > 1 && usual::number(on_call) > ON_CALL * usual::number(before.len());
    let kind = Kind::PrivilegedOutOfHours;
    (!is_usual).then(|| Anomaly { kind, measured, expected: 0.0, score: usual::number(measured) })
}

/// Whether an account wakes that slept for longer than `limit` days.
#[must_use]
pub fn awakening(idle_days: Option<i32>, limit: i32) -> Option<Anomaly> {
    let idle = idle_days.filter(|days| *days >= limit)?;
    let score = f64::from(idle) / f64::from(limit.max(1));
    Some(Anomaly { kind: Kind::DormantAccount, measured: i64::from(idle), expected: f64::from(limit), score })
}

/// Whether the sign-ins to an account go wrong too often.
#[must_use]
pub fn sign_ins_of_account(failed: i64) -> Option<Anomaly> {
    too_many(Kind::FailedSignInsOfAccount, failed, LEAST_OF_ACCOUNT)
}

/// Whether the sign-ins from an address go wrong too often.
#[must_use]
pub fn sign_ins_from_address(failed: i64, succeeded: i64) -> Option<Anomaly> {
    too_many(Kind::FailedSignInsFromAddress, failed, LEAST_FROM_ADDRESS).filter(|_| failed > succeeded)
}

fn too_many(kind: Kind, measured: i64, least: i64) -> Option<Anomaly> {
    let score = usual::number(measured) / usual::number(least);
    (measured >= least).then(|| Anomaly { kind, measured, expected: usual::number(least), score })
}

#[cfg(test)]
mod tests;
