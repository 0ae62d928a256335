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
use std::{collections::HashSet, time::Duration};
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
    let mut call =
        Call { app, store, vault, occasion, erased: Vec::new(), held: 0, tried: HashSet::new(), failure: None };
    // What was asked for comes first. Each part is tried, whatever became of the others.
    call.carry_out_all().await;
    let again = call.again().await;
    let left = call.left().await;
    if again > 0 || left > 0 {
        call.carry_out_all().await;
    }
    let Call { erased, held, failure, .. } = call;
    let did = json!({ "erased": erased, "held": held, "again": again, "left": left });
    if let Some(failure) = failure {
        tracing::info!(%did, "done before it failed");
        app.metrics().done_before_failing(FUNCTION.name, &did);
        return Err(failure);
    }
    Ok(json!({ "outcome": "done", "erased": erased, "held": held, "again": again, "left": left }))
}

/// One call, and what it did so far.
struct Call<'a> {
    app: &'a App,
    store: &'a Store,
    vault: &'a Vault,
    occasion: &'a Occasion,
    erased: Vec<Value>,
    held: usize,
    /// The erasures that failed: the next call tries them again.
    tried: HashSet<String>,
    /// The first thing that failed.
    failure: Option<Failure>,
}

impl Call<'_> {
    /// What succeeded. What failed is told at the end.
    fn noted<T>(&mut self, result: Result<T, Failure>) -> Option<T> {
        match result {
            Ok(value) => return Some(value),
            Err(failure) if self.failure.is_none() => self.failure = Some(failure),
            // The first one is logged by who is told of it.
            Err(failure) => failure.log(),
        }
        None
    }

    /// Carries out what is asked for. One that fails does not keep the others waiting.
    async fn carry_out_all(&mut self) {
        let listed = self.store.erasures_to_carry_out().await.map_err(Failure::from);
        let Some(erasures) = self.noted(listed) else { return };
        self.held = 0;
        for erasure in erasures.into_iter().filter(|erasure| !self.tried.contains(&erasure.id)).collect::<Vec<_>>() {
            let done = self.carry_out(&erasure).await;
            match self.noted(done) {
                Some(Some(event)) => {
                    tracing::info!(patient = erasure.patient, erasure = erasure.id, event, "erased");
                    self.erased.push(json!({ "erasure": erasure.id, "event": event }));
                }
                Some(None) => self.held = self.held.saturating_add(1),
                None => drop(self.tried.insert(erasure.id)),
            }
        }
    }

    /// The number of the event that says that it was done. None: a legal hold keeps what there is.
    async fn carry_out(&self, erasure: &Erasure) -> Result<Option<i64>, Failure> {
        if !self.store.begin_erasure(erasure).await? {
            return Ok(None);
        }
        let tombstone = Tombstone {
            patient: erasure.patient,
            at: self.app.now(),
            why: erasure.why.clone(),
            by: erasure.requested_by,
        };
        self.vault.destroy(erasure.key, &tombstone).await.map_err(unavailable)?;
        Ok(Some(self.store.carry_out_erasure(&self.occasion.audit(Action::Delete, RESOURCE), erasure).await?))
    }

    /// Asks again for the erasure of those whose key is destroyed and who are there all the same: how many.
    async fn again(&mut self) -> usize {
        let context = self.occasion.audit(Action::Execute, RESOURCE);
        let tombstones = self.vault.tombstones().await.map_err(unavailable);
        let mut again = 0_usize;
        for (key, was) in self.noted(tombstones).into_iter().flatten() {
            let asked = self.store.erase_again(&context, key, was.patient, &was.why, was.by, was.at).await;
            if self.noted(asked.map_err(Failure::from)) == Some(true) {
                again = again.saturating_add(1);
            }
        }
        again
    }

    /// Asks for the erasure of who left long ago: how many.
    async fn left(&mut self) -> i32 {
        let context = self.occasion.audit(Action::Execute, RESOURCE);
        let asked = match days(self.app) {
            Ok(0) => Ok(0),
            Ok(days) => self.store.request_erasures_of_left(&context, days).await.map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        self.noted(asked).unwrap_or_default()
    }
}

/// How long after leaving somebody is erased. `0`: nobody is who did not ask for it.
fn days(app: &App) -> Result<i32, Failure> {
    let Some(text) = app.variable(DAYS).filter(|text| !text.is_empty()) else { return Ok(30) };
    let days = text.parse().ok().filter(|days| (0..=3660).contains(days));
    Ok(days.ok_or(SetupError::Config(ConfigError::Invalid(DAYS, "use 0 to 3660 days")))?)
}

fn unavailable(error: payload_keys::VaultError) -> Failure {
    Failure::Unavailable(Box::new(error))
}
