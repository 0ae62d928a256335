//! What lapses is deleted: ended sessions, tokens, codes, invitations and the like; and, after a notice, observations whose time is over
//! by the policies of studies, organizations and the deployment. Called by a schedule every hour, and by `jhe retention run`;
//! `jhe retention report` counts and changes nothing.
//!
//! It goes in batches, each a transaction of its own with the count of what it deleted. So it can be interrupted anywhere, and the
//! next call goes on. It waits for no request, and none waits for it: a row that somebody holds is left for the next time.

mod deletion;
mod lapsing;

use audit::Action;
pub use deletion::BEGINNING;
pub use lapsing::{KINDS, Kind};
use runtime::{App, Failure, Needs, Occasion, Scheduled};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use store::{Store, StoreError};

/// The function.
pub const FUNCTION: Scheduled = Scheduled::new(
    "retention",
    "retention run",
    "delete what lapsed; `jhe retention report` counts it; --now: plan and announce at once",
    Needs::Database,
    |app, occasion| Box::pin(handle(app, occasion)),
)
.every(Duration::from_hours(1))
.taking(&["now"])
.in_background();

/// Rows that one transaction deletes, at most.
const BATCH: u32 = 500;

/// After this time a call leaves the rest to the next one.
const TIME: Duration = Duration::from_mins(4);

/// How often a batch that was in somebody's way is tried again.
const ATTEMPTS: usize = 3;

async fn handle(app: &App, occasion: &Occasion) -> Result<Value, Failure> {
    let store = app.store().await?;
    if occasion.asks("report") {
        return report(app, store, occasion.asks("patients")).await;
    }
    if let Some(plan) = occasion.text("certificate") {
        let plan = plan.parse().map_err(|_| Failure::Invalid("A certificate has a number.".to_owned()))?;
        return deletion::certificate(app, plan, occasion.asks("ids")).await;
    }
    let context = occasion.audit(Action::Delete, "Retention");
    let run = store.begin_retention(&context).await?;
    let ended = Instant::now().checked_add(TIME);
    let (mut deleted, mut failed, mut more) = (Map::new(), None::<Failure>, false);
    for kind in KINDS {
        let (gone, end) = forget(store, run, &kind, ended).await;
        if gone > 0 {
            deleted.insert(kind.name.to_owned(), gone.into());
        }
        match end {
            Ok(End::Done) => {}
            Ok(End::MoreToDo) => more = true,
            Err(error) => {
                tracing::error!(kind = kind.name, %error, "not deleted");
                failed = failed.or(Some(error.into()));
            }
        }
    }
    let (done, by_policy) = Box::pin(deletion::carry_out(app, occasion, &context, ended)).await;
    if let Err(failure) = by_policy {
        failure.log();
        failed = failed.or(Some(failure));
    }
    for (name, count) in [("observation", done.deleted), ("resource", done.resources)] {
        if count > 0 {
            deleted.insert(name.to_owned(), count.into());
        }
    }
    store.end_retention(&context, run, failed.is_none()).await?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    let sum: u64 = deleted.values().filter_map(Value::as_u64).sum();
    Ok(json!({
        "outcome": "done",
        "deleted": sum,
        "of": deleted,
        "announced": done.announced,
        "longest_batch_ms": done.longest.as_millis(),
        "certified": done.certified,
        "more": more || done.more,
    }))
}

/// How work in batches ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// There is no more to do.
    Done,
    /// The time was up.
    MoreToDo,
}

/// How long batches go on.
struct Pace {
    until: Option<Instant>,
    attempts: usize,
}

impl Pace {
    const fn new(until: Option<Instant>) -> Self {
        Self { until, attempts: 0 }
    }

    /// What a batch says of the next one: none, while there is one. A batch was done, or not yet, with whether there are more.
    fn after(&mut self, batch: Result<bool, StoreError>) -> Option<Result<End, StoreError>> {
        match batch {
            Ok(false) => return Some(Ok(End::Done)),
            Ok(true) => self.attempts = 0,
            Err(StoreError::Timeout | StoreError::Contention) if self.attempts < ATTEMPTS => {
                self.attempts = self.attempts.saturating_add(1);
            }
            Err(error) => return Some(Err(error)),
        }
        self.until.is_some_and(|until| Instant::now() > until).then_some(Ok(End::MoreToDo))
    }
}

/// Deletes what lapsed of a kind, batch by batch: how much, and how it ended.
async fn forget(store: &Store, run: i64, kind: &Kind, until: Option<Instant>) -> (u64, Result<End, StoreError>) {
    let (mut gone, mut pace) = (0_u64, Pace::new(until));
    loop {
        let batch = store.forget_lapsed(run, kind.name, kind.kept, BATCH).await;
        gone = gone.saturating_add(batch.as_ref().map_or(0, |batch| u64::from(*batch)));
        if let Some(end) = pace.after(batch.map(|batch| batch >= BATCH)) {
            return (gone, end);
        }
    }
}

/// What a call would delete now.
async fn report(app: &App, store: &Store, by_patient: bool) -> Result<Value, Failure> {
    let mut kinds = Map::new();
    for kind in KINDS {
        let due = store.count_lapsed(kind.name, kind.kept).await?;
        let kept = json!({ "due": due, "kept_hours": kind.kept.as_hours(), "why": kind.why });
        kinds.insert(kind.name.to_owned(), kept);
    }
    let by_policy = if store.has_retention_policies().await? {
        deletion::report(app.retention_store().await?.as_ref(), by_patient).await?
    } else {
        json!("there is no policy: observations are kept")
    };
    Ok(json!({ "outcome": "nothing is changed", "lapsed": kinds, "by_policy": by_policy }))
}
