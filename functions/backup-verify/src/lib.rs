//! The restore drill, once a week: the newest backup is restored into an empty database of the same server, every table is
//! compared with what was backed up, access is tried, and the database is dropped. A drill that fails is a call that fails.
//! It is called more often. Called again within the week, it does nothing, unless the caller asks with `{"now": true}`; one that
//! failed is tried again after 20 hours.
//! How old the backup was and how long it took are remembered for `jhe verify`.

use runtime::{App, Failure, Needs, Occasion, Scheduled};
use serde_json::Value;
use std::time::Duration;

/// The function.
pub const FUNCTION: Scheduled = Scheduled::new(
    "backup-verify",
    "backup verify",
    "restore the newest backup, try it, drop it; --from PLACE",
    Needs::Database,
    |app, occasion| Box::pin(handle(app, occasion)),
)
.every(Duration::from_hours(1))
.in_background();

async fn handle(app: &App, occasion: &Occasion) -> Result<Value, Failure> {
    Ok(backup_job::drill_if_due(app, occasion).await?)
}
