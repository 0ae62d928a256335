//! Whether what is to be deleted is: by what `jhe retention run` remembers.

use super::{Subject, Verdict};
use jiff::{SignedDuration, Timestamp};
use runtime::SetupError;
use store::{RetentionRun, StoreError};

/// There is a run every hour.
const LATE: SignedDuration = SignedDuration::from_hours(6);

/// What the store cannot say.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether the last run is of late, and succeeded.
pub(super) async fn ran(subject: &Subject) -> Verdict {
    let asked = async { Ok::<_, Unknown>(subject.app.store().await?.last_retention_run().await?) };
    match asked.await {
        Ok(run) => judged(run.as_ref(), subject.app.now()),
        Err(error) => Verdict::NotCheckable(format!("the runs cannot be read: {error}")),
    }
}

fn judged(run: Option<&RetentionRun>, now: Timestamp) -> Verdict {
    let Some(run) = run else { return Verdict::Fail("nothing was ever deleted: there was no run".to_owned()) };
    if !run.succeeded {
        return Verdict::Fail(format!("the last run, of {}, failed or was interrupted", run.ended_at));
    }
    if now.duration_since(run.ended_at) > LATE {
        return Verdict::Fail(format!("the last run is of {}", run.ended_at));
    }
    Verdict::Pass(format!("the last run is of {}: {}", run.ended_at, run.forgotten))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_failed_is_late_or_never_was_does_not_pass() {
        let at = |hours| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        let run = |succeeded| RetentionRun { ended_at: at(0), succeeded, forgotten: json!({}) };
        let word = |run: Option<RetentionRun>, hours| judged(run.as_ref(), at(hours)).word();
        assert_eq!(
            [word(Some(run(true)), 6), word(Some(run(true)), 7), word(Some(run(false)), 1), word(None, 0)],
            ["pass", "fail", "fail", "fail"]
        );
    }
}
