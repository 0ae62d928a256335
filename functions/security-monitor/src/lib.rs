//! The security monitor: looks through the audit since its last call for what is unusual, keeps what it finds and tells people of
//! it. Called by a schedule; how often only says how soon something is found.
//!
//! It goes by days. The day that is running is counted anew at each call, one that is over once more and never again; after an
//! outage it goes on where it was. Something unusual is one finding, however often its day is looked at. What is told is noted
//! afterwards: if that fails, people are told twice rather than never.

mod message;
mod settings;

use alert::Channels;
use anomaly::{Anomaly, Peers};
use audit::{Action, Context};
use runtime::{App, Failure, Needs, Occasion, Scheduled};
use serde_json::{Value, json};
use settings::Settings;
use std::time::Duration;
use store::{ActorDay, MonitorDay, NewFinding, PeerGroup, RunKind, Store};

/// The function.
pub const FUNCTION: Scheduled = Scheduled::new(
    "security-monitor",
    "security-monitor",
    "look for what is unusual in the audit, and tell of it",
    Needs::Database,
    |app, occasion| Box::pin(handle(app, occasion)),
)
.every(Duration::from_mins(15))
.in_background();

/// Days before the first that are learned from, besides those after which an account sleeps.
const LEARNED_DAYS: i32 = 28;

/// Days that one call looks at, at most. Another goes on.
const MOST_DAYS: i32 = 400;

async fn handle(app: &App, occasion: &Occasion) -> Result<Value, Failure> {
    let settings = Settings::of(app)?;
    let channels = Channels::of(app)?;
    let store = app.store().await?;
    let zone = &settings.office.zone;
    if !store.knows_time_zone(zone).await? {
        return Err(settings::unknown_zone());
    }
    store.begin_monitor(zone, LEARNED_DAYS + settings.dormant_days).await?;
    let context = occasion.audit(Action::Create, "SecurityFinding");
    let days = store.monitor_days(zone, MOST_DAYS).await?;
    let mut new = 0;
    for day in &days {
        new += look_at(store, &settings, &context, day).await?;
    }
    let told = tell(app, store, &channels).await?;
    let archive_lag = store.archive_lag().await?;
    let place = app.variable("BACKUP_TO");
    // A backup that failed leaves the one before to restore; after a drill that failed nobody knows of any that it can be restored.
    let backup = store.last_good_backup_run(RunKind::Backup, place.as_deref()).await?;
    let drill = store.last_backup_run(RunKind::Drill, place.as_deref()).await?.filter(|run| run.succeeded);
    let age = |since| app.now().duration_since(since).as_secs().max(0);
    Ok(json!({
        "days": days.len(),
        "new_findings": new,
        "told": told,
        "archive_lag_seconds": archive_lag,
        "backup_age_seconds": backup.map(|run| age(run.taken_at)),
        "drill_age_seconds": drill.map(|run| age(run.ended_at)),
    }))
}

/// Counts a day, and keeps what is unusual in it: how much of it is new.
async fn look_at(store: &Store, settings: &Settings, context: &Context, day: &MonitorDay) -> Result<usize, Failure> {
    store.count_day(day, &settings.office).await?;
    let mut new = 0;
    if day.is_judged {
        for finding in unusual(store, settings, day).await? {
            let kept = NewFinding {
                kind: finding.anomaly.kind.name(),
                user: finding.user,
                address: finding.address.as_deref(),
                measured: finding.anomaly.measured,
                expected: finding.anomaly.expected,
                score: finding.anomaly.score,
            };
            new += usize::from(store.keep_finding(context, day, &settings.office, &kept).await?);
        }
    }
    if day.is_over {
        store.day_is_done(day.date).await?;
        store.forget_days(day.date).await?;
    }
    Ok(new)
}

/// Something unusual, and whose it is.
struct Unusual {
    user: Option<i32>,
    address: Option<String>,
    anomaly: Anomaly,
}

async fn unusual(store: &Store, settings: &Settings, day: &MonitorDay) -> Result<Vec<Unusual>, Failure> {
    let actors = store.actors_of_day(day.date, &anomaly::LEAST, settings.dormant_days).await?;
    let groups = if actors.is_empty() { Vec::new() } else { store.peers_before(day.date).await? };
    let mut found = Vec::new();
    for actor in &actors {
        let of_actor = |anomaly| Unusual { user: Some(actor.user), address: None, anomaly };
        found.extend(anomaly::of_day(&actor.today, &actor.before, peers(&groups, actor)).into_iter().map(of_actor));
        found.extend(anomaly::awakening(actor.idle_days, settings.dormant_days).map(of_actor));
    }
    let attempts = store.failed_sign_ins(day, anomaly::LEAST_OF_ACCOUNT, anomaly::LEAST_FROM_ADDRESS).await?;
    for one in attempts {
        let anomaly = match one.user {
            Some(_) => anomaly::sign_ins_of_account(one.failed),
            None => anomaly::sign_ins_from_address(one.failed, one.succeeded),
        };
        found.extend(anomaly.map(|anomaly| Unusual { user: one.user, address: one.address, anomaly }));
    }
    Ok(found)
}

/// What is usual for those with the role of an account.
fn peers<'a>(groups: &'a [PeerGroup], actor: &ActorDay) -> Option<Peers<'a>> {
    let group = groups.iter().find(|known| known.group == actor.group)?;
    Some(Peers { days: group.days, quantiles: group.quantiles.each_ref().map(Vec::as_slice) })
}

/// Tells people of findings of which nobody was told: how many these are.
async fn tell(app: &App, store: &Store, channels: &Channels) -> Result<usize, Failure> {
    let findings = store.untold_findings().await?;
    if findings.is_empty() {
        return Ok(0);
    }
    if channels.is_empty() {
        tracing::warn!(
            findings = findings.len(),
            "nobody is told of findings: set SECURITY_TOPIC_ARN or SECURITY_MAIL_TO"
        );
        return Ok(0);
    }
    let (subject, text) = message::message(&findings, &app.settings.site_url);
    channels.tell(app, &subject, &text).await?;
    let ids: Vec<i32> = findings.iter().map(|finding| finding.id).collect();
    store.findings_are_told(&ids).await?;
    Ok(ids.len())
}
