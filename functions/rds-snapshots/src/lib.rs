//! Snapshots of the database's instance in RDS, once a day: encrypted, copied to a second region under that region's key, and kept
//! as long as the policy says. It is called every hour, since a snapshot takes its time before it can be copied, and finds out what
//! there is to do. Then it looks at all of them again: what is missing, not encrypted or not tagged makes the call fail.
//!
//! It has no way to the database, and who has one has no way to the snapshots.

mod plan;
mod rds;
mod settings;

use jiff::Timestamp;
use plan::{Plan, Region, Snapshot};
use rds::{Rds, RdsError};
use runtime::{App, Failure, Needs, Occasion, Scheduled};
use serde_json::{Value, json};
use settings::{Second, Settings};
use std::time::Duration;

/// The function.
pub const FUNCTION: Scheduled = Scheduled::new(
    "rds-snapshots",
    "rds-snapshots",
    "take, copy, check and prune snapshots of an instance in RDS",
    Needs::Nothing,
    |app, occasion| Box::pin(handle(app, occasion)),
)
.every(Duration::from_hours(1))
.in_background();

async fn handle(app: &App, _occasion: &Occasion) -> Result<Value, Failure> {
    // It keeps its own copies, of clusters and not of instances.
    if app.variable("RDS_ENGINE").as_deref() == Some("aurora") {
        return Ok(json!({ "outcome": "not for Aurora" }));
    }
    let Some(settings) = Settings::of(app)? else {
        return Ok(json!({ "outcome": "no database", "setting": "RDS_INSTANCE_ID" }));
    };
    let here = Rds::of(app, None)?;
    let there = settings.second.as_ref().map(|second| Rds::of(app, Some(&second.region))).transpose()?;
    let now = app.now();
    let seen = look(&settings, &here, there.as_ref()).await?;
    let plan = Plan::of(now, &settings.instance, settings.keep, &seen.0, seen.1.as_deref());
    act(app, &settings, &plan, &here, there.as_ref()).await?;
    let (ours, theirs) = look(&settings, &here, there.as_ref()).await?;
    let key = settings.second.as_ref().map(|second| second.key.as_str());
    let mut missing = plan::findings(now, settings.keep, Region::Own, &ours, None);
    missing.extend(theirs.iter().flat_map(|copies| plan::findings(now, settings.keep, Region::Second, copies, key)));
    if !missing.is_empty() {
        return Err(Failure::Invalid(format!("The snapshots are not as they must be: {}", missing.join("; "))));
    }
    Ok(report(now, &plan, &ours, theirs.as_deref()))
}

/// The snapshots in both regions.
async fn look(
    settings: &Settings,
    here: &Rds,
    there: Option<&Rds>,
) -> Result<(Vec<Snapshot>, Option<Vec<Snapshot>>), RdsError> {
    let ours = here.snapshots(&settings.instance).await?;
    let theirs = match there {
        Some(there) => Some(there.snapshots(&settings.instance).await?),
        None => None,
    };
    Ok((ours, theirs))
}

async fn act(app: &App, settings: &Settings, plan: &Plan, here: &Rds, there: Option<&Rds>) -> Result<(), RdsError> {
    if let Some(id) = &plan.take {
        here.take(&settings.instance, id).await?;
    }
    if let (Some(there), Some(second)) = (there, &settings.second) {
        for original in &plan.copy {
            copy(app, settings, second, there, original).await?;
        }
        for id in &plan.forget_there {
            there.delete(id).await?;
        }
    }
    for id in &plan.forget_here {
        here.delete(id).await?;
    }
    Ok(())
}

async fn copy(
    app: &App,
    settings: &Settings,
    second: &Second,
    there: &Rds,
    original: &Snapshot,
) -> Result<(), RdsError> {
    let request = [
        ("Action", "CopyDBSnapshot"),
        ("Version", rds::VERSION),
        ("SourceDBSnapshotIdentifier", &original.arn),
        ("TargetDBSnapshotIdentifier", &original.id),
        ("KmsKeyId", &second.key),
        ("DestinationRegion", &second.region),
    ];
    let allowed = aws::presigned(app.variables(), "rds", &request, app.now().into())?;
    there.copy(&settings.instance, original, &second.key, &allowed).await
}

fn report(now: Timestamp, plan: &Plan, ours: &[Snapshot], theirs: Option<&[Snapshot]>) -> Value {
    let age = |snapshots: &[Snapshot]| plan::newest(snapshots).map(|newest| now.duration_since(newest.at).as_secs());
    json!({
        "outcome": "done",
        "taken": plan.take,
        "copied": plan.copy.iter().map(|one| &one.id).collect::<Vec<_>>(),
        "forgotten": plan.forget_here.len() + plan.forget_there.len(),
        "snapshots": ours.len(),
        "newest_age_seconds": age(ours),
        "copies": theirs.map(<[Snapshot]>::len),
        "newest_copy_age_seconds": theirs.and_then(age),
    })
}
