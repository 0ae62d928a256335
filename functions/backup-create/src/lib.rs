//! A backup of the database, once a day: every table as it was at one moment, compressed, encrypted and signed, where
//! `BACKUP_TO` says. It is called every hour, since a host may start anew at any time. Called again within the day, it does nothing, unless the caller asks with `{"now": true}`. What is
//! interrupted is no backup, and the next call makes one.

use runtime::{App, Failure, Needs, Occasion, Scheduled};
use serde_json::Value;
use std::time::Duration;

/// The function.
pub const FUNCTION: Scheduled = Scheduled::new(
    "backup-create",
    "backup",
    "make a backup; --to DIRECTORY or s3://BUCKET/PREFIX: not BACKUP_TO",
    Needs::Database,
    |app, occasion| Box::pin(handle(app, occasion)),
)
.every(Duration::from_hours(1))
.in_background();

async fn handle(app: &App, occasion: &Occasion) -> Result<Value, Failure> {
    Ok(backup_job::create_if_due(app, occasion).await?)
}
