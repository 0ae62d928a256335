//! Observations and other resources whose time is over by the policies: found once a day, announced, deleted after the notice, certified.

use crate::{End, Pace};
use audit::Context;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use runtime::{App, Failure, Occasion};
use serde_json::{Map, Value, json};
use signer::{Place, Signer};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use store::{Certificate, Store};

/// Patients that are looked at together.
const PATIENTS: u16 = 20;

/// Rows that one transaction deletes, at most and at least: of observations, of other resources and of what those were.
const ROWS: (u16, u16) = (200, 20);

/// What somebody may have to wait for a batch. After one that took longer the next ones are smaller.
const PATIENCE: Duration = Duration::from_millis(40);

/// What a certificate begins with: nobody takes the signature for one of something else.
pub const BEGINNING: &str = "jhe-retention-certificate 1\n";

/// What was done, with how it ended.
#[derive(Default)]
pub(crate) struct Done {
    pub announced: u64,
    /// Observations.
    pub deleted: u64,
    /// Other resources.
    pub resources: u64,
    pub certified: Vec<i64>,
    pub more: bool,
    /// The longest that a batch took: nobody waited for longer.
    pub longest: Duration,
}

/// Does what is to be done now. What was done before a failure is done.
pub(crate) async fn carry_out(
    app: &App,
    occasion: &Occasion,
    context: &Context,
    until: Option<Instant>,
) -> (Done, Result<(), Failure>) {
    let mut done = Done::default();
    let ended = work(app, occasion, context, until, &mut done).await;
    (done, ended)
}

async fn work(
    app: &App,
    occasion: &Occasion,
    context: &Context,
    until: Option<Instant>,
    done: &mut Done,
) -> Result<(), Failure> {
    // Who only looks needs no right to delete.
    if !app.store().await?.has_retention_policies().await? {
        return Ok(());
    }
    let store = app.retention_store().await?;
    if !store.may_delete_by_policy().await? {
        return Err(Failure::Conflict(
            "There are policies, and this login may not delete by them: set DB_RETENTION_USER and its password.",
        ));
    }
    let now = occasion.asks("now");
    let (mut pace, mut first) = (Pace::new(until), true);
    let found = loop {
        let batch = store.collect_due(context, PATIENTS, now && first).await;
        first = false;
        done.announced = done.announced.saturating_add(batch.as_ref().map_or(0, |batch| batch.lanes));
        if let Some(end) = pace.after(batch.map(|batch| batch.more)) {
            break end?;
        }
    };
    let (mut pace, mut most) = (Pace::new(until), ROWS.0);
    let deleted = loop {
        let began = Instant::now();
        let batch = store.delete_due(context, most).await;
        let took = began.elapsed();
        done.longest = done.longest.max(took);
        let next = if took > PATIENCE { most / 2 } else { most.saturating_mul(2) };
        most = next.clamp(ROWS.1, ROWS.0);
        if let Ok(batch) = &batch {
            done.deleted = done.deleted.saturating_add(batch.deleted);
            done.resources = done.resources.saturating_add(batch.resources);
        }
        if let Some(end) = pace.after(batch.map(|batch| batch.more)) {
            break end?;
        }
    };
    done.more = found == End::MoreToDo || deleted == End::MoreToDo;
    while let Some((plan, facts)) = store.certifiable().await? {
        let certificate = signed(app, &facts).await?;
        store.certify(context, plan, &certificate).await?;
        done.certified.push(plan);
    }
    Ok(())
}

async fn signed(app: &App, facts: &Value) -> Result<Certificate, Failure> {
    let signer = signer(app).await?;
    let mut facts = facts.as_object().cloned().unwrap_or_default();
    facts.insert("site".to_owned(), app.settings.site_url.clone().into());
    let text = format!("{BEGINNING}{}\n", Value::Object(facts));
    let failed = |error: signer::SignerError| Failure::Unavailable(Box::new(error));
    let signature = signer.sign(text.as_bytes()).await.map_err(failed)?;
    Ok(Certificate { text, signature, public_key: signer.public.to_pem() })
}

/// The key of the audit's seals.
async fn signer(app: &App) -> Result<Signer, Failure> {
    let setting = |name: &str| app.variable(name).filter(|value| !value.is_empty());
    let file = setting("AUDIT_SEAL_KEY_FILE").map(Into::into);
    let file = file.or_else(|| app.secret_directory().map(|directory| directory.join("audit_seal.key")));
    let place = Place::of(setting("AUDIT_SEAL_KEY_ID"), file).ok_or(Failure::Conflict("Set AUDIT_SEAL_KEY_ID."))?;
    Signer::made(&place, app.variables()).await.map_err(|error| Failure::Unavailable(Box::new(error)))
}

/// The certificate of a plan, as a stranger checks it.
pub(crate) async fn certificate(app: &App, plan: i64, with_ids: bool) -> Result<Value, Failure> {
    let store = app.retention_store().await?;
    let Certificate { text, signature, public_key } = store.certificate(plan).await?.ok_or(Failure::NotFound)?;
    let mut shown = Map::new();
    shown.insert("certificate".to_owned(), text.into());
    shown.insert("signature".to_owned(), STANDARD.encode(signature).into());
    shown.insert("publicKey".to_owned(), public_key.into());
    if with_ids {
        shown.insert("observationIds".to_owned(), json!(store.deleted_observations(plan).await?));
        shown.insert("resourceIds".to_owned(), json!(store.deleted_resources(plan).await?));
    }
    Ok(Value::Object(shown))
}

/// What is due now, by study and kind of data, and by patient where that is asked for. Nothing is changed.
pub(crate) async fn report(store: &Store, by_patient: bool) -> Result<Value, Failure> {
    let (mut studies, mut lanes) = (BTreeMap::<String, BTreeMap<String, i64>>::new(), Vec::new());
    let (mut observations, mut patients, mut after) = (0_i64, 0_u64, Some(0));
    while let Some(last) = after {
        let (found, next) = store.due_lanes(last, PATIENTS).await?;
        let mut patient = None;
        for lane in found {
            observations = observations.saturating_add(lane.observations);
            patients = patients.saturating_add(u64::from(patient.replace(lane.patient) != Some(lane.patient)));
            let of = if lane.studies.is_empty() {
                vec!["none".to_owned()]
            } else {
                lane.studies.iter().map(i32::to_string).collect()
            };
            for study in of {
                let kinds = studies.entry(study).or_default();
                let count = kinds.entry(lane.code.clone()).or_default();
                *count = count.saturating_add(lane.observations);
            }
            if by_patient {
                lanes.push(json!({ "patient": lane.patient, "code": lane.code, "observations": lane.observations, "studies": lane.studies }));
            }
        }
        after = next;
    }
    let mut report = json!({ "observations": observations, "patients": patients, "studies": studies });
    if let (true, Some(report)) = (by_patient, report.as_object_mut()) {
        report.insert("lanes".to_owned(), lanes.into());
    }
    Ok(report)
}
