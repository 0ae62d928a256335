//! Whether what is to be deleted is: by what `jhe retention run` remembers.

use super::{
    Subject, Verdict,
    runs::{asked, untimely},
};
use jiff::{SignedDuration, Timestamp};
use store::RetentionRun;

/// There is a run every hour.
const LATE: SignedDuration = SignedDuration::from_hours(6);

/// Whether the last run is of late, and succeeded.
pub(super) async fn ran(subject: &Subject) -> Verdict {
    match asked(subject, async |store| store.last_retention_run().await).await {
        Ok(run) => judged(run.as_ref(), subject.app.now()),
        Err(verdict) => verdict,
    }
}

fn judged(run: Option<&RetentionRun>, now: Timestamp) -> Verdict {
    let Some(run) = run else { return Verdict::Fail("nothing was ever deleted: there was no run".to_owned()) };
    if !run.succeeded {
        return Verdict::Fail(format!("the last run, of {}, failed or was interrupted", run.ended_at));
    }
    untimely("the last run", run.ended_at, LATE, now)
        .unwrap_or_else(|| Verdict::Pass(format!("the last run is of {}: {}", run.ended_at, run.forgotten)))
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
        assert_eq!([6, 7, -2].map(|hours| word(Some(run(true)), hours)), ["pass", "fail", "not checkable"]);
        assert_eq!([word(Some(run(false)), 1), word(None, 0)], ["fail", "fail"]);
    }
}
