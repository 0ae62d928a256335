//! What the checks of jobs share: asking the store for the last run, and whether that is of late.

use super::{Subject, Verdict};
use jiff::{SignedDuration, Timestamp};
use runtime::SetupError;
use store::{Store, StoreError};

/// So much may the clocks of two machines differ. What is later than that was not yet.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// What the store cannot say.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the store remembers of runs. Not checkable when it cannot be asked.
pub(super) async fn asked<T>(
    subject: &Subject,
    question: impl AsyncFnOnce(&Store) -> Result<T, StoreError>,
) -> Result<T, Verdict> {
    let answer = async { Ok::<_, Unknown>(question(subject.app.store().await?).await?) };
    answer.await.map_err(|error| Verdict::NotCheckable(format!("the runs cannot be read: {error}")))
}

/// What is wrong with the time of a run that should be no older than `limit`.
pub(super) fn untimely(what: &str, at: Timestamp, limit: SignedDuration, now: Timestamp) -> Option<Verdict> {
    let age = now.duration_since(at);
    if age > limit {
        return Some(Verdict::Fail(format!("{what} is of {at}")));
    }
    (age < -AHEAD).then(|| Verdict::NotCheckable(format!("{what} is of {at}, which is to come: a clock is wrong")))
}
