//! Uploading observations: verdicts for all, then one statement for those that are accepted.
//!
//! The patients' rows are locked `FOR SHARE` while an upload runs. A consent decision takes the same row
//! `FOR NO KEY UPDATE`, so the two are ordered: an observation stored beside a grant is never missing from
//! the study's feed.

use super::insert::{Accepted, insert};
use crate::{
    Store, StoreError, meter,
    payloads::{key_id, sealed},
    refusal,
};
use audit::{Context, RefusedBy, Target};
use authz::{Actor, Layer, Permission, Principal, Role, permit};
use deadpool_postgres::Transaction;
use futures_util::future::try_join3;
use jiff::Timestamp;
use payload::{KeyId, Place};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;
use tokio_postgres::types::Type;

/// An observation to store; its content is rendered once the code's display and the subject's user are known.
#[derive(Clone, Debug)]
pub struct NewObservation {
    /// The subject.
    pub patient: i32,
    /// The code's system.
    pub system: String,
    /// The code.
    pub code: String,
    /// The data source (FHIR Device).
    pub data_source: i32,
    /// The FHIR Source that it comes from, if it comes from one: the patient's own.
    pub source: Option<i32>,
    /// The FHIR status.
    pub status: String,
    /// Business identifiers: system (empty when none) and value. Unique for one patient.
    pub identifiers: Vec<(String, String)>,
    /// The start of the effective time.
    pub effective_start: Timestamp,
    /// The end of the effective time; equal to the start for an instant.
    pub effective_end: Timestamp,
}

/// What to do with data whose consent was granted once and is now revoked (`UPLOAD_WHEN_REVOKED`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenRevoked {
    /// Store it: hidden from practitioners, visible to the patient, nothing is lost.
    #[default]
    Store,
    /// Refuse it.
    Reject,
}

impl WhenRevoked {
    /// Whether data may be stored whose consent was ever granted, and is granted now.
    pub(crate) const fn lets_pass(self, ever_granted: bool, granted_now: bool) -> bool {
        match self {
            Self::Store => ever_granted,
            Self::Reject => granted_now,
        }
    }
}

/// Whether the caller may upload for a patient: the patient, or who has the role for it in an organization of the patient's.
pub(crate) fn uploads_for(actor: &Actor, subject: i32, role: Option<Role>) -> Result<(), Layer> {
    match actor.principal {
        Principal::Patient(patient) if patient.0 == subject => Ok(()),
        Principal::Patient(_) => Err(Layer::UserType),
        Principal::Practitioner(_) | Principal::SuperAdmin => {
            permit(actor, Permission::UploadOnBehalf, role).map(|_| ()).map_err(|refusal| refusal.layer)
        }
    }
}

/// What came of one observation of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadVerdict {
    /// Stored.
    Stored(Stored),
    /// Refused by a layer.
    Refused(Layer),
    /// Another observation of the patient has one of its identifiers, or an earlier one of this upload.
    Duplicate,
    /// No scope has this code.
    UnknownCode,
    /// No data source has this id.
    UnknownDataSource,
    /// Accepted, but not stored because another one of the same transaction was not.
    NotStored,
}

/// A stored observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: i64,
    /// When it was stored.
    pub last_updated: Timestamp,
    /// The FHIR Source that it comes from, if it comes from one.
    pub source: Option<i32>,
    /// The content as stored.
    pub content: String,
}

/// What the verdict depends on: the same for all observations of one patient, code and data source.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Subject<'a> {
    patient: i32,
    system: &'a str,
    code: &'a str,
    data_source: i32,
}

/// What the database knows about a subject.
struct Facts {
    scope_id: Option<i32>,
    display: String,
    source_known: bool,
    user_id: Option<i32>,
    key: Option<KeyId>,
    role: Option<Role>,
    ever_granted: bool,
    granted_now: bool,
}

/// The patients for whom the caller may upload, locked against decisions about them; others are not touched, so that nobody
/// can hold up the decisions of a stranger. A statement of its own: what is read after it is read under the lock.
pub(crate) const LOCK: &str = "
SELECT p.id FROM patient p
 WHERE p.id = ANY ($1::int[])
   AND (p.id = $2
        OR EXISTS (SELECT FROM patient_organization o JOIN organization_member m ON m.organization_id = o.organization_id
                    WHERE o.patient_id = p.id AND m.practitioner_id = $3 AND m.role >= 'member'))
 ORDER BY p.id FOR SHARE";

/// Whether a grant of `patient`'s for `scope` is in force. It ends as for readers: when it is withdrawn, and with the enrolment and the
/// request that it answered. The end of a study ends no grant.
pub(crate) fn granted_now(patient: &str, scope: &str) -> String {
    format!(
        "EXISTS (SELECT FROM consent_current c
                  JOIN study_patient n ON n.study_id = c.study_id AND n.patient_id = c.patient_id AND n.enrolled_at <= c.decided_at
                  JOIN study_scope_request r ON r.study_id = c.study_id AND r.scope_id = c.scope_id AND r.requested_at <= c.decided_at
                 WHERE c.patient_id = {patient} AND c.scope_id = {scope} AND c.decision = 'granted')"
    )
}

/// What decides about uploads, for each patient, code system, code and data source; 5 practitioner.
pub(crate) static FACTS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
SELECT i.n, s.id AS scope_id, coalesce(s.text, '') AS display, l.user_id, uuid_send(l.payload_key) AS payload_key,
       EXISTS (SELECT FROM data_source d WHERE d.id = i.data_source_id AND d.deleted_at IS NULL) AS source_known,
       (SELECT max(m.role)::text FROM patient_organization o
          JOIN organization_member m ON m.organization_id = o.organization_id
         WHERE o.patient_id = i.patient_id AND m.practitioner_id = $5) AS role,
       EXISTS (SELECT FROM consent_event e
                WHERE e.patient_id = i.patient_id AND e.scope_id = s.id AND e.decision = 'granted') AS ever_granted,
       {granted_now} AS granted_now
  FROM unnest($1::int[], $2::text[], $3::text[], $4::int[]) WITH ORDINALITY AS i(patient_id, system, code, data_source_id, n)
  LEFT JOIN patient l ON l.id = i.patient_id
  LEFT JOIN scope s ON s.code = i.code AND s.system = i.system",
        granted_now = granted_now("i.patient_id", "s.id")
    )
});

/// As many ids as there are observations. Those of what is not stored are never used.
const IDS: &str = "SELECT next_observation_id() FROM generate_series(1, $1)";

const DUPLICATES: &str = "
SELECT DISTINCT i.n
  FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[]) AS i(patient_id, system, value, n)
  JOIN observation_identifier o ON o.patient_id = i.patient_id AND o.value = i.value AND o.system = i.system";

impl Store {
    /// Stores the observations that the caller may upload, each with its own fate, and their audit records, in one
    /// transaction. With `all_or_nothing`, one that is not accepted keeps all from being stored.
    ///
    /// `render` gives the content to store, from the position of the observation, the display of its code and the
    /// subject's user id.
    pub async fn upload_observations(
        &self,
        context: &Context,
        actor: &Actor,
        when_revoked: WhenRevoked,
        all_or_nothing: bool,
        observations: &[NewObservation],
        render: impl Fn(usize, &str, i32) -> String + Sync,
    ) -> Result<Vec<UploadVerdict>, StoreError> {
        /// Two uploads of one identifier can both find it free; the later one then fails and looks again.
        const ATTEMPTS: usize = 4;
        let mut client = self.connection().await?;
        let mut attempt = 1;
        loop {
            let transaction = client.transaction().await?;
            let upload = Upload { store: self, context, actor, when_revoked, all_or_nothing, observations };
            match upload.run(transaction, &render).await {
                Err(StoreError::Duplicate(_) | StoreError::Contention) if attempt < ATTEMPTS => attempt += 1,
                Err(StoreError::Duplicate(_)) => return Err(StoreError::Contention),
                result => return result,
            }
        }
    }
}

/// One attempt at an upload.
struct Upload<'a> {
    store: &'a Store,
    context: &'a Context,
    actor: &'a Actor,
    when_revoked: WhenRevoked,
    all_or_nothing: bool,
    observations: &'a [NewObservation],
}

/// An observation that passed every layer.
struct Passed<'a> {
    position: usize,
    id: i64,
    scope: i32,
    user: i32,
    key: KeyId,
    display: &'a str,
}

impl<'a> Upload<'a> {
    async fn run(
        &self,
        transaction: Transaction<'_>,
        render: &(impl Fn(usize, &str, i32) -> String + Sync),
    ) -> Result<Vec<UploadVerdict>, StoreError> {
        self.lock(&transaction).await?;
        let (facts, duplicates, ids) =
            try_join3(self.facts(&transaction), self.duplicates(&transaction), self.ids(&transaction)).await?;
        let mut verdicts = Vec::with_capacity(self.observations.len());
        let mut passed = Vec::with_capacity(self.observations.len());
        let mut claimed = HashSet::new();
        let mut role = None;
        for (position, observation) in self.observations.iter().enumerate() {
            let facts = facts.get(&subject(observation)).ok_or(StoreError::Corrupt("subject"))?;
            role = role.max(facts.role);
            verdicts.push(match self.judge(observation, facts) {
                Err(refused) => refused,
                Ok(_) if duplicates.contains(&position) || !claim(&mut claimed, observation) => {
                    UploadVerdict::Duplicate
                }
                Ok((scope, user)) => {
                    let id = *ids.get(position).ok_or(StoreError::Corrupt("id"))?;
                    let key = facts.key.ok_or(StoreError::Corrupt("payload_key"))?;
                    passed.push(Passed { position, id, scope, user, key, display: &facts.display });
                    UploadVerdict::NotStored
                }
            });
        }
        let is_whole = |count: usize| count == self.observations.len() || !self.all_or_nothing;
        let accepted = if is_whole(passed.len()) {
            self.encrypted(&transaction, &passed, render, &mut verdicts).await?
        } else {
            Vec::new()
        };
        if !accepted.is_empty() && is_whole(accepted.len()) {
            let practitioner = self.actor.practitioner().map(|id| id.0);
            let mut places = insert(&transaction, self.context, practitioner, &accepted, role).await?;
            for (number, one) in accepted.into_iter().enumerate() {
                let last_updated = places.remove(&number).ok_or(StoreError::Corrupt("n"))?;
                if let Some(verdict) = verdicts.get_mut(one.position) {
                    let (id, source) = (one.id, one.observation.source);
                    *verdict = UploadVerdict::Stored(Stored { id, last_updated, source, content: one.content });
                }
            }
        }
        self.record_refusals(&transaction, &verdicts).await?;
        transaction.commit().await?;
        meter::observations_written(
            verdicts.iter().filter(|verdict| matches!(verdict, UploadVerdict::Stored(_))).count(),
        );
        Ok(verdicts)
    }

    /// What passed, encrypted. Whose key was destroyed is no patient any more.
    async fn encrypted(
        &self,
        transaction: &Transaction<'_>,
        passed: &[Passed<'_>],
        render: &(impl Fn(usize, &str, i32) -> String + Sync),
        verdicts: &mut [UploadVerdict],
    ) -> Result<Vec<Accepted<'a>>, StoreError> {
        if passed.is_empty() {
            return Ok(Vec::new());
        }
        let of = |one: &Passed<'_>| self.observations.get(one.position).ok_or(StoreError::Corrupt("n"));
        let patients = passed.iter().map(|one| Ok((one.key, of(one)?.patient)));
        let patients = patients.collect::<Result<BTreeMap<_, _>, StoreError>>()?;
        let held = self.store.keys_to_seal(transaction, &patients).await?;
        let mut accepted = Vec::with_capacity(passed.len());
        for one in passed {
            let observation = of(one)?;
            let content = render(one.position, one.display, one.user);
            let place = Place::Observation { patient: observation.patient, id: one.id };
            if let Some(payload) = sealed(&held, one.key, place, &content)? {
                let (position, id, scope_id) = (one.position, one.id, one.scope);
                accepted.push(Accepted { position, scope_id, id, content, payload, observation });
            } else if let Some(verdict) = verdicts.get_mut(one.position) {
                *verdict = UploadVerdict::Refused(Layer::Organization);
            }
        }
        Ok(accepted)
    }

    /// An id for each of the observations.
    async fn ids(&self, transaction: &Transaction<'_>) -> Result<Vec<i64>, StoreError> {
        let count = i32::try_from(self.observations.len()).map_err(|_| StoreError::Unstorable)?;
        let statement = transaction.prepare_typed_cached(IDS, &[Type::INT4]).await?;
        let rows = transaction.query(&statement, &[&count]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    async fn lock(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let patients: Vec<i32> = self.observations.iter().map(|observation| observation.patient).collect();
        let own = self.actor.patient().ok().map(|id| id.0);
        let practitioner = self.actor.practitioner().map(|id| id.0);
        let types = [Type::INT4_ARRAY, Type::INT4, Type::INT4];
        let statement = transaction.prepare_typed_cached(LOCK, &types).await?;
        transaction.execute(&statement, &[&patients, &own, &practitioner]).await?;
        Ok(())
    }

    async fn facts(&self, transaction: &Transaction<'_>) -> Result<HashMap<Subject<'a>, Facts>, StoreError> {
        let subjects: Vec<Subject<'a>> =
            self.observations.iter().map(subject).collect::<HashSet<_>>().into_iter().collect();
        let patients: Vec<i32> = subjects.iter().map(|subject| subject.patient).collect();
        let systems: Vec<&str> = subjects.iter().map(|subject| subject.system).collect();
        let codes: Vec<&str> = subjects.iter().map(|subject| subject.code).collect();
        let sources: Vec<i32> = subjects.iter().map(|subject| subject.data_source).collect();
        let practitioner = self.actor.practitioner().map(|id| id.0);
        let statement = transaction
            .prepare_typed_cached(
                &FACTS,
                &[Type::INT4_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::INT4_ARRAY, Type::INT4],
            )
            .await?;
        let rows = transaction.query(&statement, &[&patients, &systems, &codes, &sources, &practitioner]).await?;
        let mut facts = HashMap::with_capacity(rows.len());
        for row in rows {
            let number: i64 = row.try_get("n")?;
            let subject = usize::try_from(number - 1).ok().and_then(|index| subjects.get(index));
            let role = row.try_get::<_, Option<&str>>("role")?.map(str::parse).transpose();
            facts.insert(
                subject.ok_or(StoreError::Corrupt("n"))?.clone(),
                Facts {
                    scope_id: row.try_get("scope_id")?,
                    display: row.try_get("display")?,
                    source_known: row.try_get("source_known")?,
                    user_id: row.try_get("user_id")?,
                    key: key_id(&row)?,
                    role: role.map_err(|_| StoreError::Corrupt("role"))?,
                    ever_granted: row.try_get("ever_granted")?,
                    granted_now: row.try_get("granted_now")?,
                },
            );
        }
        Ok(facts)
    }

    /// The positions of the observations of which an identifier is taken.
    async fn duplicates(&self, transaction: &Transaction<'_>) -> Result<HashSet<usize>, StoreError> {
        let mut patients = Vec::new();
        let mut systems = Vec::new();
        let mut values = Vec::new();
        let mut positions = Vec::new();
        for (position, observation) in (0_i64..).zip(self.observations) {
            for (system, value) in &observation.identifiers {
                patients.push(observation.patient);
                systems.push(system);
                values.push(value);
                positions.push(position);
            }
        }
        if positions.is_empty() {
            return Ok(HashSet::new());
        }
        let statement = transaction
            .prepare_typed_cached(DUPLICATES, &[Type::INT4_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::INT8_ARRAY])
            .await?;
        let rows = transaction.query(&statement, &[&patients, &systems, &values, &positions]).await?;
        rows.iter()
            .map(|row| usize::try_from(row.try_get::<_, i64>(0)?).map_err(|_| StoreError::Corrupt("n")))
            .collect()
    }

    /// The layers, in order: the scope and the user of the subject when all let it pass.
    fn judge(&self, observation: &NewObservation, facts: &Facts) -> Result<(i32, i32), UploadVerdict> {
        let allowed = uploads_for(self.actor, observation.patient, facts.role);
        // The role is the last layer: what the consent says comes before it.
        if let Err(layer @ (Layer::UserType | Layer::Organization)) = allowed {
            return Err(UploadVerdict::Refused(layer));
        }
        let user = facts.user_id.ok_or(UploadVerdict::Refused(Layer::Organization))?;
        let scope = facts.scope_id.ok_or(UploadVerdict::UnknownCode)?;
        if !facts.source_known {
            return Err(UploadVerdict::UnknownDataSource);
        }
        if !self.when_revoked.lets_pass(facts.ever_granted, facts.granted_now) {
            return Err(UploadVerdict::Refused(Layer::Consent));
        }
        allowed.map(|()| (scope, user)).map_err(UploadVerdict::Refused)
    }

    /// One audit record for each reason of refusal, naming the patients concerned.
    async fn record_refusals(
        &self,
        transaction: &Transaction<'_>,
        verdicts: &[UploadVerdict],
    ) -> Result<(), StoreError> {
        let mut refused: BTreeMap<&'static str, (RefusedBy, BTreeSet<i32>)> = BTreeMap::new();
        for (verdict, observation) in verdicts.iter().zip(self.observations) {
            if let Some(reason) = reason(verdict) {
                let (_, patients) = refused.entry(reason.name()).or_insert_with(|| (reason, BTreeSet::new()));
                patients.insert(observation.patient);
            }
        }
        for (reason, patients) in refused.into_values() {
            refusal::record(transaction, self.context, &Target::nothing().and_patients(patients), reason).await?;
        }
        Ok(())
    }
}

const fn reason(verdict: &UploadVerdict) -> Option<RefusedBy> {
    match verdict {
        UploadVerdict::Stored(_) => None,
        UploadVerdict::Refused(layer) => Some(RefusedBy::Layer(*layer)),
        UploadVerdict::Duplicate
        | UploadVerdict::UnknownCode
        | UploadVerdict::UnknownDataSource
        | UploadVerdict::NotStored => Some(RefusedBy::Invalid),
    }
}

fn subject(observation: &NewObservation) -> Subject<'_> {
    Subject {
        patient: observation.patient,
        system: &observation.system,
        code: &observation.code,
        data_source: observation.data_source,
    }
}

/// Claims the identifiers of an observation within the upload; false when an earlier one has one of them.
fn claim<'a>(claimed: &mut HashSet<(i32, &'a str, &'a str)>, observation: &'a NewObservation) -> bool {
    let keys: HashSet<_> = observation
        .identifiers
        .iter()
        .map(|(system, value)| (observation.patient, system.as_str(), value.as_str()))
        .collect();
    let free = keys.is_disjoint(claimed);
    if free {
        claimed.extend(keys);
    }
    free
}
