//! The drill: the newest backup, restored into a database of its own, looked at, and dropped.

use crate::{JobError, RESOURCE, Settings, list, restore};
use audit::{Action, Context};
use jiff::{SignedDuration, Timestamp};
use runtime::{App, Occasion};
use serde_json::{Value, json};
use std::time::Instant;
use store::{AccessCase, DatabaseConfig, NewBackupRun, ObservationQuery, Reader, RunKind, Store};

/// How many of those who may see, and of those who may not, are tried.
const CASES: i64 = 50;

/// A schedule that calls once a week calls a little earlier at times.
const DUE: SignedDuration = SignedDuration::from_hours(6 * 24 + 12);

/// Tries the newest backup, unless one was tried well this week.
pub async fn drill_if_due(app: &App, occasion: &Occasion) -> Result<Value, JobError> {
    let last = app.store().await?.last_backup_run(RunKind::Drill).await?;
    match last.filter(|run| run.succeeded && app.now().duration_since(run.ended_at) < DUE) {
        Some(run) if !occasion.asks("now") => Ok(json!({ "outcome": "not due", "last": run.ended_at })),
        _ => drill(app, occasion).await,
    }
}

/// Restores the newest backup and tries it. What it finds is remembered, whatever it is.
pub async fn drill(app: &App, occasion: &Occasion) -> Result<Value, JobError> {
    let settings = Settings::of(app)?;
    if settings.place.is_none() {
        return Ok(json!({ "outcome": "no place", "setting": "BACKUP_TO" }));
    }
    let Some(owner) = app.known_owner()? else {
        return Ok(json!({ "outcome": "no owner", "setting": "DB_OWNER_USER" }));
    };
    // There is one drill of a database at a time.
    let Some(turn) = store::take_turn(&owner, "drill").await? else {
        return Ok(json!({ "outcome": "running elsewhere" }));
    };
    let drilled = newest(app, &settings, &owner, occasion).await;
    turn.end().await?;
    drilled
}

/// Tries the newest backup, and remembers what was found.
async fn newest(
    app: &App,
    settings: &Settings,
    owner: &DatabaseConfig,
    occasion: &Occasion,
) -> Result<Value, JobError> {
    let archive = settings.archive(app)?;
    let id = list::newest(&archive).await?.ok_or_else(|| JobError::None(settings.place.clone().unwrap_or_default()))?;
    let began_at = app.now();
    let (taken_at, tried) = match list::verified(app, settings, &archive, &id).await {
        Ok(manifest) => (manifest.created_at, attempt(app, &id, manifest.created_at, owner, occasion).await),
        Err(error) => (began_at, Err(error)),
    };
    let dropped = store::drop_database(&app.owner()?, &place_of(owner)).await;
    let (succeeded, report) = match &tried {
        Ok(report) => (true, report.clone()),
        Err(error) => (false, json!({ "outcome": "failed", "backup": id, "why": error.to_string() })),
    };
    let run = NewBackupRun { kind: RunKind::Drill, backup: &id, taken_at, began_at, succeeded, report: &report };
    app.store().await?.record_backup_run(&occasion.audit(Action::Execute, RESOURCE), &run).await?;
    dropped?;
    tried
}

/// The database of drills, beside the one that is served.
fn place_of(owner: &DatabaseConfig) -> String {
    format!("{}_drill", owner.name)
}

async fn attempt(
    app: &App,
    id: &str,
    taken_at: Timestamp,
    owner: &DatabaseConfig,
    occasion: &Occasion,
) -> Result<Value, JobError> {
    let began = Instant::now();
    // What a drill left that was cut off.
    let name = place_of(owner);
    store::drop_database(owner, &name).await?;
    store::create_database(owner, &name).await?;
    let into = DatabaseConfig { name, ..app.owner()? };
    let restored = restore(app, id, &into, occasion).await?;
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
    let (mut seen, mut hidden) = (0_usize, 0_usize);
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
        if found { seen += 1 } else { hidden += 1 }
    }
    Ok(json!({ "seen": seen, "hidden": hidden }))
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
