//! The drill: the newest backup, restored into a database of its own, looked at, and dropped.

use crate::{
    JobError, NO_BACKUP, Settings,
    create::record,
    list,
    restore::{OF_DRILLS, fill_empty},
};
use audit::{Action, Context};
use jiff::{SignedDuration, Timestamp};
use runtime::{App, Occasion};
use serde_json::{Value, json};
use std::time::Instant;
use store::{AccessCase, BackupRun, DatabaseConfig, NewBackupRun, ObservationQuery, Reader, RunKind, Store};

/// How many of those who may see, of those who may not, and of strangers are tried.
const CASES: i64 = 50;

/// One a week, by calls of every hour or every day.
const DUE: SignedDuration = SignedDuration::from_hours(6 * 24 + 12);

/// One that failed is tried again the next day, and not by the next call: each restores the whole database.
const AGAIN: SignedDuration = SignedDuration::from_hours(20);

/// Tries the newest backup, unless one was tried well this week, or there is none yet.
pub async fn drill_if_due(app: &App, occasion: &Occasion) -> Result<Value, JobError> {
    if occasion.asks("now") {
        return drill(app, occasion).await;
    }
    let Some(place) = Settings::place(app) else {
        return Ok(no_place());
    };
    let store = app.store().await?;
    let last = store.last_backup_run(RunKind::Drill, Some(&place)).await?;
    let is_recent = |run: &BackupRun| app.now().duration_since(run.ended_at) < if run.succeeded { DUE } else { AGAIN };
    if let Some(run) = last.filter(is_recent) {
        return Ok(json!({ "outcome": "not due", "last": run.ended_at }));
    }
    // A new host calls this beside the call that makes its first backup.
    if store.last_backup_run(RunKind::Backup, Some(&place)).await?.is_none() {
        return Ok(json!({ "outcome": "no backup yet" }));
    }
    drill(app, occasion).await
}

fn no_place() -> Value {
    json!({ "outcome": "no place", "setting": "BACKUP_TO" })
}

/// Restores the newest backup and tries it. What it finds is remembered, whatever it is.
pub async fn drill(app: &App, occasion: &Occasion) -> Result<Value, JobError> {
    let Some(place) = Settings::place(app) else {
        return Ok(no_place());
    };
    let Some(owner) = app.known_owner()? else {
        return Ok(json!({ "outcome": "no owner", "setting": "DB_OWNER_USER" }));
    };
    // There is one drill of a database at a time.
    let Some(turn) = store::take_turn(&owner, "drill").await? else {
        return Ok(json!({ "outcome": "running elsewhere" }));
    };
    let drilled = newest(app, &place, &owner, occasion).await;
    turn.end().await?;
    drilled
}

/// Tries the newest backup, and remembers what was found.
async fn newest(app: &App, place: &str, owner: &DatabaseConfig, occasion: &Occasion) -> Result<Value, JobError> {
    let began_at = app.now();
    let (id, taken_at, tried) = match found(app, place).await {
        Ok((id, Ok(taken_at))) => {
            let tried = attempt(app, &id, taken_at, owner, occasion).await;
            (id, taken_at, tried)
        }
        Ok((id, Err(error))) => (id, began_at, Err(error)),
        Err(error) => (NO_BACKUP.to_owned(), began_at, Err(error)),
    };
    // The owner's token may have lapsed meanwhile.
    let dropped = async { Ok::<_, JobError>(store::drop_drill_database(&app.owner()?, &place_of(owner)).await?) }.await;
    let mut report = match &tried {
        Ok(report) => report.clone(),
        Err(error) => json!({ "outcome": "failed", "backup": id, "why": error.to_string() }),
    };
    if let Some(report) = report.as_object_mut() {
        report.insert("place".to_owned(), place.into());
    }
    let succeeded = tried.is_ok();
    let run = NewBackupRun { kind: RunKind::Drill, backup: &id, taken_at, began_at, succeeded, report: &report };
    let remembered = record(app, occasion, Action::Execute, &run).await;
    tried?;
    remembered?;
    dropped?;
    Ok(report)
}

/// The newest backup, and of which time it is if it is to be believed.
async fn found(app: &App, place: &str) -> Result<(String, Result<Timestamp, JobError>), JobError> {
    let settings = Settings::of(app)?;
    let archive = settings.archive(app)?;
    let id = list::newest(&archive).await?.ok_or_else(|| JobError::None(format!("in {place}")))?;
    let manifest = list::verified(app, &settings, &archive, &id).await;
    Ok((id, manifest.map(|manifest| manifest.created_at)))
}

/// The database of drills, beside the one that is served.
fn place_of(owner: &DatabaseConfig) -> String {
    format!("{}{OF_DRILLS}", owner.name)
}

async fn attempt(
    app: &App,
    id: &str,
    taken_at: Timestamp,
    owner: &DatabaseConfig,
    occasion: &Occasion,
) -> Result<Value, JobError> {
    let began = Instant::now();
    tracing::info!(backup = id, "tried");
    let name = place_of(owner);
    if !store::create_drill_database(owner, &name).await? {
        return Err(JobError::Occupied(name));
    }
    let into = DatabaseConfig { name, ..app.owner()? };
    let restored = fill_empty(app, id, &into, occasion).await?;
    let recovery = began.elapsed().as_secs_f64();
    let served = app.store_over(&into).await?;
    let cases = access(&served, &into, occasion).await?;
    let audit = sealed(app, &served).await?;
    Ok(json!({
        "outcome": "passed",
        "backup": id,
        "taken_at": taken_at,
        // What would be lost, and how long it would take.
        "rpo_seconds": app.now().duration_since(taken_at).as_secs_f64(),
        "rto_seconds": recovery,
        "tables": restored.get("tables"),
        "rows": restored.get("rows"),
        "bytes": restored.get("bytes"),
        "access": cases,
        "audit": audit,
    }))
}

/// Whether practitioners see there what patients consented to, and nothing else: by the store that the functions have.
async fn access(served: &Store, into: &DatabaseConfig, occasion: &Occasion) -> Result<Value, JobError> {
    let cases = store::access_cases(into, CASES).await?;
    let context = occasion.audit(Action::Search, "Observation");
    let (mut seen, mut hidden, mut strangers) = (0_usize, 0_usize, 0_usize);
    for case in &cases {
        let found = finds(served, &context, case).await?;
        if found != case.is_consented {
            return Err(JobError::Served(format!(
                "practitioner {} {} scope {} of patient {}",
                case.practitioner,
                if found { "finds without consent" } else { "does not find, for all their consent," },
                case.scope,
                case.patient
            )));
        }
        *match (found, case.is_stranger) {
            (true, _) => &mut seen,
            (false, false) => &mut hidden,
            (false, true) => &mut strangers,
        } += 1;
    }
    Ok(json!({ "seen": seen, "hidden": hidden, "strangers": strangers }))
}

/// Whether the audit there is as it was sealed: every seal that it has, and every event under them.
async fn sealed(app: &App, served: &Store) -> Result<Value, JobError> {
    let report = seals::check_copy(app, served).await.map_err(|failure| {
        failure.log();
        JobError::Unchecked(failure.detail())
    })?;
    if !report.is_good() {
        return Err(JobError::Audit(Box::new(report)));
    }
    Ok(json!({ "seals": report.seals, "events": report.events }))
}

/// Whether a practitioner finds something of a patient.
async fn finds(store: &Store, context: &Context, case: &AccessCase) -> Result<bool, JobError> {
    let mut query = ObservationQuery::new(Reader::Practitioner(case.practitioner));
    query.patients = vec![case.patient.0];
    query.codes = vec![case.code.clone()];
    query.count = 1;
    // What is found is not opened: who tries backups has no key to what is in them.
    Ok(store.finds_observations(context, &query).await?)
}
