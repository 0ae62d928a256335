//! Backups made, restored and tried: what `jhe backup`, `jhe restore` and the scheduled functions do.
//!
//! [`create`] reads a snapshot of the database table by table and writes it as chunks, the signed manifest last. [`restore`]
//! puts one into an empty database, all of it or nothing. [`drill`] restores the newest one, looks whether it serves, and drops
//! it again. None holds more than some chunks of eight megabytes in memory, however large the database is.

mod create;
mod drill;
mod error;
mod keys;
mod list;
mod restore;
mod settings;

pub use create::{create, create_if_due};
pub use drill::{drill, drill_if_due};
pub use error::JobError;
pub use list::{newest, verified};
pub use restore::{check_name, restore};
pub use settings::Settings;

use runtime::App;

/// The key that backups are believed by, in PEM: to be kept where no backup is.
pub async fn public_key(app: &App) -> Result<String, JobError> {
    Ok(keys::trusted(app, &Settings::of(app)?).await?.to_pem())
}

/// What the audit calls them.
const RESOURCE: &str = "Backup";

/// With which backup a run had to do that never came to one.
const NO_BACKUP: &str = "none";
