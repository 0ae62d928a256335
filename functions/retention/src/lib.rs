//! What lapses is deleted: ended sessions, tokens, codes, invitations and the like. Called by a schedule every hour, and by
//! `jhe retention run`; `jhe retention report` counts and changes nothing.
//!
//! It goes in batches, each a transaction of its own with the count of what it deleted. So it can be interrupted anywhere, and the
//! next call goes on. It waits for no request, and none waits for it: a row that somebody holds is left for the next time.

mod lapsing;

use audit::Action;
pub use lapsing::{KINDS, Kind};
use runtime::{App, Failure, Needs, Occasion, Scheduled};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use store::{Store, StoreError};

/// The function.
pub const FUNCTION: Scheduled = Scheduled::new(
    "retention",
    "retention run",
    "delete what lapsed; `jhe retention report` counts it",
    Needs::Database,
    |app, occasion| Box::pin(handle(app, occasion)),
)
.every(Duration::from_hours(1))
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
        return report(store).await;
    }
    let context = occasion.audit(Action::Delete, "Retention");
    let run = store.begin_retention(&context).await?;
    let ended = Instant::now().checked_add(TIME);
    let (mut deleted, mut failed, mut more) = (Map::new(), None, false);
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
                failed = failed.or(Some(error));
            }
        }
    }
    store.end_retention(&context, run, failed.is_none()).await?;
    let sum: u64 = deleted.values().filter_map(Value::as_u64).sum();
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(json!({ "outcome": "done", "deleted": sum, "of": deleted, "more": more })),
    }
}

/// How the work on a kind ended.
enum End {
    /// There is no more of it.
    Done,
    /// The time was up.
    MoreToDo,
}

/// Deletes what lapsed of a kind, batch by batch: how much, and how it ended.
async fn forget(store: &Store, run: i64, kind: &Kind, until: Option<Instant>) -> (u64, Result<End, StoreError>) {
    let (mut gone, mut attempts) = (0_u64, 0);
    loop {
        if until.is_some_and(|until| Instant::now() > until) {
            return (gone, Ok(End::MoreToDo));
        }
        match store.forget_lapsed(run, kind.name, kind.kept, BATCH).await {
            Ok(batch) => {
                gone = gone.saturating_add(u64::from(batch));
                attempts = 0;
                if batch < BATCH {
                    return (gone, Ok(End::Done));
                }
            }
            Err(StoreError::Timeout | StoreError::Contention) if attempts < ATTEMPTS => attempts += 1,
            Err(error) => return (gone, Err(error)),
        }
    }
}

/// What a call would delete now.
async fn report(store: &Store) -> Result<Value, Failure> {
    let mut kinds = Map::new();
    for kind in KINDS {
        let due = store.count_lapsed(kind.name, kind.kept).await?;
        let kept = json!({ "due": due, "kept_hours": kind.kept.as_hours(), "why": kind.why });
        kinds.insert(kind.name.to_owned(), kept);
    }
    Ok(json!({ "outcome": "nothing is changed", "lapsed": kinds }))
}
