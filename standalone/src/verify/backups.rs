//! Backups, and whether one was tried: by what `jhe backup` and `jhe backup verify` remember.

use super::{Subject, Verdict, provider};
use jiff::{SignedDuration, Timestamp};
use runtime::SetupError;
use store::{BackupRun, RunKind, StoreError};

/// A backup that is older is not the last one: there is one a day.
const BACKUP: SignedDuration = SignedDuration::from_hours(48);

/// There is a drill a week.
const DRILL: SignedDuration = SignedDuration::from_hours(10 * 24);

/// What the store cannot say.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

async fn last(subject: &Subject, kind: RunKind) -> Result<Option<BackupRun>, Verdict> {
    let asked = async { Ok::<_, Unknown>(subject.app.store().await?.last_backup_run(kind).await?) };
    asked.await.map_err(|error| Verdict::NotCheckable(format!("the runs cannot be read: {error}")))
}

/// Whether there is a backup of late: one of ours, or else of the provider.
pub(super) async fn kept(subject: &Subject) -> Verdict {
    let by_provider = provider::backups(subject);
    match (last(subject, RunKind::Backup).await, by_provider) {
        // What the provider keeps is there even when ours is not.
        (_, Some(verdict)) | (Err(verdict), None) => verdict,
        (Ok(None), None) => Verdict::NotCheckable("jhe made none, and no provider describes any".to_owned()),
        (Ok(Some(run)), None) => judged(&run, run.taken_at, BACKUP, "the last backup", subject.app.now()),
    }
}

/// Whether restoring was tried of late.
pub(super) async fn drilled(subject: &Subject) -> Verdict {
    match last(subject, RunKind::Drill).await {
        Ok(Some(run)) => judged(&run, run.ended_at, DRILL, "the last drill", subject.app.now()),
        Ok(None) => Verdict::NotCheckable("no drill is on record".to_owned()),
        Err(verdict) => verdict,
    }
}

fn judged(run: &BackupRun, at: Timestamp, limit: SignedDuration, what: &str, now: Timestamp) -> Verdict {
    let said = |name: &str| run.report.get(name).map(ToString::to_string).unwrap_or_default();
    if !run.succeeded {
        return Verdict::Fail(format!("{what}, of {at}, failed: {}", said("why")));
    }
    if now.duration_since(at) > limit {
        return Verdict::Fail(format!("{what} is of {at}"));
    }
    let details = ["rows", "rpo_seconds", "rto_seconds"].map(|name| (name, said(name)));
    let details = details.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name} {value}"));
    Verdict::Pass(format!("{what} is of {at}: {}", details.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(succeeded: bool) -> BackupRun {
        let at = Timestamp::UNIX_EPOCH;
        BackupRun {
            backup: "x".to_owned(),
            taken_at: at,
            ended_at: at,
            succeeded,
            report: json!({ "why": "broken", "rows": 7 }),
        }
    }

    #[test]
    fn what_failed_or_is_long_ago_does_not_pass() {
        let at = |hours| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        let word = |succeeded, hours| judged(&run(succeeded), at(0), BACKUP, "it", at(hours)).word();
        assert_eq!((word(true, 1), word(true, 48), word(true, 49), word(false, 1)), ("pass", "pass", "fail", "fail"));
        let verdict = judged(&run(false), at(0), BACKUP, "it", at(1));
        assert!(verdict.reason().contains("broken"), "{verdict:?}");
    }
}
