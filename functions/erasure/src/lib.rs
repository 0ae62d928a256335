//! Patients are erased: who asked for it, who left the last organization long ago, and, in a database that comes from a backup, who was
//! erased before. The only function that may destroy a key. Called by a schedule; stopped at any point and called again, it comes to
//! the same end.
//!
//! The key goes first. From then on nothing that it encrypted can be read, in no backup either, and the tombstone in its place says
//! whom this and every older database has to forget, whatever happens to the rest. Before it goes, it is looked whether a legal hold
//! covers the patient: then the erasure waits, and a later call carries it out.

use audit::Action;
use payload_keys::{Tombstone, Vault};
use runtime::{App, Failure, Needs, Occasion, Scheduled, SetupError};
use serde_json::{Value, json};
use std::time::Duration;
use store::{ConfigError, Erasure, Store};

/// The function.
pub const FUNCTION: Scheduled = Scheduled::new(
    "erasure",
    "erase",
    "erase the patients who asked for it, and who left long ago",
    Needs::Database,
    |app, occasion| Box::pin(handle(app, occasion)),
)
.every(Duration::from_mins(15))
.in_background();

/// How many days after leaving the last organization a patient is erased.
const DAYS: &str = "ERASURE_AFTER_DAYS";

/// The account of patients in the audit.
const RESOURCE: &str = "Patient";

async fn handle(app: &App, occasion: &Occasion) -> Result<Value, Failure> {
    let vault = app.vault().ok_or(SetupError::Config(ConfigError::Missing(payload_keys::PLACE)))?;
    let store = app.store().await?;
    let again = again(store, vault, occasion).await?;
    let left = match days(app)? {
        0 => 0,
        days => store.request_erasures_of_left(&occasion.audit(Action::Execute, RESOURCE), days).await?,
    };
    let mut erased = Vec::new();
    let mut held = 0;
    let mut failure = None;
    for erasure in store.erasures_to_carry_out().await? {
        // One that fails does not keep the others waiting.
        match carry_out(app, store, vault, &erasure, occasion).await {
            Ok(Some(event)) => erased.push(json!({ "erasure": erasure.id, "event": event })),
            Ok(None) => held += 1,
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    Ok(json!({ "outcome": "done", "erased": erased, "held": held, "again": again, "left": left }))
}

/// None for `0`: then nobody is erased who did not ask for it.
fn days(app: &App) -> Result<i32, Failure> {
    let Some(text) = app.variable(DAYS).filter(|text| !text.is_empty()) else { return Ok(30) };
    let days = text.parse().ok().filter(|days| (0..=3660).contains(days));
    Ok(days.ok_or(SetupError::Config(ConfigError::Invalid(DAYS, "use 0 to 3660 days")))?)
}

/// Asks again for the erasure of those whose key is destroyed and who are there all the same: how many.
async fn again(store: &Store, vault: &Vault, occasion: &Occasion) -> Result<usize, Failure> {
    let context = occasion.audit(Action::Execute, RESOURCE);
    let mut again = 0;
    for (key, was) in vault.tombstones().await.map_err(unavailable)? {
        if store.erase_again(&context, key, was.patient, &was.why, was.by, was.at).await? {
            again += 1;
        }
    }
    Ok(again)
}

/// The number of the event that says that it was done. None: a legal hold keeps what there is.
async fn carry_out(
    app: &App,
    store: &Store,
    vault: &Vault,
    erasure: &Erasure,
    occasion: &Occasion,
) -> Result<Option<i64>, Failure> {
    if !store.begin_erasure(erasure).await? {
        return Ok(None);
    }
    let tombstone =
        Tombstone { patient: erasure.patient, at: app.now(), why: erasure.why.clone(), by: erasure.requested_by };
    vault.destroy(erasure.key, &tombstone).await.map_err(unavailable)?;
    Ok(Some(store.carry_out_erasure(&occasion.audit(Action::Delete, RESOURCE), erasure).await?))
}

fn unavailable(error: payload_keys::VaultError) -> Failure {
    Failure::Unavailable(Box::new(error))
}
