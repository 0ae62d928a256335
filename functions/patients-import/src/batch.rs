//! Rows on their way into the database.

use crate::answer::Outcome;
use api::Problems;
use audit::Context;
use authz::OrganizationId;
use runtime::Failure;
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};
use store::{NewPatient, Store, StoreError};

/// Rows of a statement: enough to make round trips cheap, few enough that a statement is far from its timeout.
const BATCH: usize = 250;

/// When a request begins no other batch. Well before the host's deadline of 25 seconds.
const TIME: Duration = Duration::from_secs(15);

/// How large the answer may grow, in bytes: less than AWS Lambda takes.
const ANSWER: usize = 4 * 1024 * 1024;

/// An import that runs.
pub struct Import<'a> {
    store: &'a Store,
    context: &'a Context,
    organization: OrganizationId,
    id: i32,
    started: Instant,
    waiting: Vec<(usize, NewPatient)>,
    /// The e-mails and identifiers of those that wait.
    claimed: HashSet<String>,
    /// Rows that were refused since the last batch.
    refused: Vec<Outcome>,
    results: Vec<Outcome>,
    size: usize,
}

impl<'a> Import<'a> {
    /// An import of which nothing has been read.
    pub fn new(store: &'a Store, context: &'a Context, organization: OrganizationId, id: i32) -> Self {
        Self {
            store,
            context,
            organization,
            id,
            started: Instant::now(),
            waiting: Vec::new(),
            claimed: HashSet::new(),
            refused: Vec::new(),
            results: Vec::new(),
            size: 0,
        }
    }

    /// Whether time and the size of the answer allow another row.
    pub fn has_room(&self) -> bool {
        self.started.elapsed() < TIME && self.size < ANSWER
    }

    /// Takes a row. False when the database stopped answering: what is stored is, and the rest can be sent again.
    pub async fn take(&mut self, row: usize, patient: Result<NewPatient, Problems>) -> Result<bool, Failure> {
        let patient = match patient {
            Ok(patient) => patient,
            Err(problems) => {
                let outcome = Outcome::invalid(row, problems);
                self.size += outcome.size();
                self.refused.push(outcome);
                return if self.refused.len() >= BATCH { self.store_waiting().await } else { Ok(true) };
            }
        };
        // Who has something in common with a row that waits is judged after it.
        let claims = claims(&patient);
        if claims.iter().any(|claim| self.claimed.contains(claim)) && !self.store_waiting().await? {
            return Ok(false);
        }
        self.claimed.extend(claims);
        self.waiting.push((row, patient));
        if self.waiting.len() >= BATCH { self.store_waiting().await } else { Ok(true) }
    }

    /// Stores what waits. False as of [`Import::take`].
    pub async fn finish(&mut self) -> Result<bool, Failure> {
        self.store_waiting().await
    }

    /// The first row that was not done; `next` when all before it were.
    pub fn resumes_at(&self, next: usize) -> usize {
        let waiting = self.waiting.iter().map(|(row, _)| *row);
        let refused = self.refused.iter().map(Outcome::row);
        waiting.chain(refused).min().unwrap_or(next)
    }

    /// What came of each row that was done, in order.
    pub fn into_results(mut self) -> Vec<Outcome> {
        self.results.sort_unstable_by_key(Outcome::row);
        self.results
    }

    async fn store_waiting(&mut self) -> Result<bool, Failure> {
        if self.waiting.is_empty() && self.refused.is_empty() {
            return Ok(true);
        }
        let patients: Vec<NewPatient> = self.waiting.iter().map(|(_, patient)| patient.clone()).collect();
        let refused = i32::try_from(self.refused.len()).unwrap_or(i32::MAX);
        let stored = self.store.import_patients(self.context, self.organization, self.id, &patients, refused).await;
        let imported = match stored {
            Ok(imported) => imported,
            Err(error @ (StoreError::Unavailable(_) | StoreError::Timeout | StoreError::Contention))
                if !self.results.is_empty() =>
            {
                tracing::warn!(%error, "an import ends early");
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        for ((row, _), imported) in self.waiting.drain(..).zip(imported) {
            let outcome = Outcome::of(row, imported);
            self.size += outcome.size();
            self.results.push(outcome);
        }
        self.results.append(&mut self.refused);
        self.claimed.clear();
        Ok(true)
    }
}

/// What no other patient may have: the e-mail, whatever its case, and the identifiers.
fn claims(patient: &NewPatient) -> Vec<String> {
    let identifiers = patient.identifiers.iter().map(|(system, value)| format!("{system}\n{value}"));
    identifiers.chain([patient.telecom_email.to_lowercase()]).collect()
}
