//! Amending an observation: a new version, and the earlier one kept.
//!
//! As with an upload, the patient's row is locked against consent decisions while the verdict is found and carried out. What an
//! observation was is kept by the function of the database that changes it.

use super::{
    create::{LOCK, NewObservation},
    query::Reader,
    read::{PRACTITIONER_LAYERS, TARGET, UNCONDITIONAL_LAYERS},
    search::{Found, found},
};
use crate::{
    Store, StoreError,
    payloads::{Raw, key_id, sealed},
    refusal,
};
use audit::{Context, RefusedBy, Target};
use authz::{Actor, Layer, Permission, Principal, Refusal, Role, permit};
use deadpool_postgres::Transaction;
use payload::{KeyId, Place};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};
use tokio_postgres::types::{Json, Type};

/// The most versions of an observation.
const MOST_VERSIONS: i32 = 100;

/// What is to become of an observation.
#[derive(Clone, Debug)]
pub struct Amendment<'a> {
    /// Its id.
    pub id: i64,
    /// The versions that the caller wants to amend.
    pub expected: &'a [i32],
    /// What it is to be.
    pub becomes: &'a NewObservation,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Amended {
    /// The observation in its new version.
    Done(Found),
    /// It has another version than the caller expects.
    Stale,
    /// It has as many versions as it may have.
    Full,
    /// This element, which says whose it is, of what kind or from where, is another.
    Another(&'static str),
    /// Refused by a layer.
    Refused(Refusal),
    /// Nothing has this id.
    Missing,
}

/// 1 observation.
const PATIENT: &str = "SELECT patient_id FROM observation WHERE id = $1";

/// The observation, judged as a read of it is, and what decides whether the caller may amend it. `role` is theirs where they may read it.
fn current(layers: &str, role: &str) -> String {
    format!(
        "{TARGET}{layers}
SELECT v.refused_by, {role} AS role, o.id, o.version, o.last_updated, o.effective_start, o.content, o.payload, o.patient_id,
       o.source_id, o.data_source_id, o.uploaded_by, s.system, s.code, s.text AS display, p.user_id,
       uuid_send(p.payload_key) AS payload_key
  FROM verdict v
  LEFT JOIN (observation o JOIN scope s ON s.id = o.scope_id JOIN patient p ON p.id = o.patient_id)
         ON o.id = $2 AND v.refused_by IS NULL"
    )
}

static OF_PRACTITIONER: LazyLock<String> =
    LazyLock::new(|| current(PRACTITIONER_LAYERS, "(SELECT max(role)::text FROM permit)"));
static UNCONDITIONAL: LazyLock<String> = LazyLock::new(|| current(UNCONDITIONAL_LAYERS, "NULL::text"));

/// 1 audit context, 2 observation, 3 version, 4 status, 5 start, 6 end, 7 payload, 8 payload of what was in the clear, 9 patient,
/// 10 practitioner, 11 role. The audit has the versions and the status, never a value.
const AMEND: &str = "
WITH done AS MATERIALIZED (
  SELECT amend_observation($2, $3, $4, $5, $6, $7, $8) AS at
)
SELECT d.at,
       audit_record($1 || jsonb_build_object('detail', jsonb_build_object('before', $3::int, 'after', $3::int + 1, 'status', $4::text)),
                    'allowed', NULL,
                    ARRAY(SELECT o.organization_id FROM patient_organization o
                           WHERE o.patient_id = $9
                             AND ($10::int IS NULL
                                  OR EXISTS (SELECT FROM organization_member m
                                              WHERE m.organization_id = o.organization_id AND m.practitioner_id = $10 AND m.role >= 'member'))
                           ORDER BY 1),
                    '{}', ARRAY[$9::int], ARRAY[$2::bigint], $11::text::member_role) AS event_id
  FROM done d WHERE d.at IS NOT NULL";

/// An observation that the caller may amend.
struct Current {
    found: Found,
    is_clear: bool,
    patient: i32,
    data_source: i32,
    coded: (String, String),
    display: String,
    user: i32,
    key: KeyId,
    role: Option<Role>,
}

impl Store {
    /// Makes a new version of an observation, with its audit record, if the caller may. `render` gives the content to store, from the
    /// display of its code and the subject's user id.
    pub async fn amend_observation(
        &self,
        context: &Context,
        actor: &Actor,
        amendment: &Amendment<'_>,
        render: impl Fn(&str, i32) -> String + Sync,
    ) -> Result<Amended, StoreError> {
        /// Somebody else can amend it between the look and the change; then it is looked at again.
        const ATTEMPTS: usize = 4;
        let mut client = self.connection().await?;
        for _ in 0..ATTEMPTS {
            let transaction = client.transaction().await?;
            let attempt = Attempt { store: self, context, actor, amendment };
            let statement = transaction.prepare_typed_cached(PATIENT, &[Type::INT8]).await?;
            let row = transaction.query_opt(&statement, &[&amendment.id]).await?;
            let patient: Option<i32> = row.map(|row| row.try_get(0)).transpose()?;
            let outcome = match patient {
                None => Amended::Missing,
                Some(patient) => match attempt.run(&transaction, patient, &render).await? {
                    Some(outcome) => outcome,
                    None => continue,
                },
            };
            let reason = match &outcome {
                Amended::Done(_) => None,
                Amended::Stale | Amended::Full | Amended::Another(_) => Some(RefusedBy::Invalid),
                Amended::Refused(refusal) => Some(RefusedBy::Layer(refusal.layer)),
                Amended::Missing => Some(RefusedBy::NotFound),
            };
            if let Some(reason) = reason {
                let target = Target::nothing().and_patients(patient);
                refusal::record(&transaction, context, &target, reason).await?;
            }
            transaction.commit().await?;
            return Ok(outcome);
        }
        Err(StoreError::Contention)
    }
}

/// One attempt at an amendment.
struct Attempt<'a> {
    store: &'a Store,
    context: &'a Context,
    actor: &'a Actor,
    amendment: &'a Amendment<'a>,
}

impl Attempt<'_> {
    fn practitioner(&self) -> Option<i32> {
        self.actor.practitioner().map(|id| id.0)
    }

    /// None when somebody else was faster.
    async fn run(
        &self,
        transaction: &Transaction<'_>,
        patient: i32,
        render: &(impl Fn(&str, i32) -> String + Sync),
    ) -> Result<Option<Amended>, StoreError> {
        let own = self.actor.patient().ok().map(|id| id.0);
        let types = [Type::INT4_ARRAY, Type::INT4, Type::INT4];
        let statement = transaction.prepare_typed_cached(LOCK, &types).await?;
        transaction.execute(&statement, &[&[patient].as_slice(), &own, &self.practitioner()]).await?;
        let current = match self.current(transaction).await? {
            Ok(current) => current,
            Err(refusal) => return Ok(Some(Amended::Refused(refusal))),
        };
        if !self.amendment.expected.contains(&current.found.version) {
            return Ok(Some(Amended::Stale));
        }
        if current.found.version >= MOST_VERSIONS {
            return Ok(Some(Amended::Full));
        }
        if let Some(element) = another(self.amendment.becomes, &current) {
            return Ok(Some(Amended::Another(element)));
        }
        self.carry_out(transaction, current, render).await
    }

    /// The observation, if the caller may amend it. Who may not read it is not told that it is there.
    async fn current(&self, transaction: &Transaction<'_>) -> Result<Result<Current, Refusal>, StoreError> {
        let (text, who) = match Reader::from(self.actor) {
            Reader::Practitioner(practitioner) => (&*OF_PRACTITIONER, Some(practitioner.0)),
            Reader::Patient(patient) => (&*UNCONDITIONAL, Some(patient.0)),
            Reader::Privileged => (&*UNCONDITIONAL, None),
        };
        let types = [Type::JSONB, Type::INT8, Type::INT4];
        // The layers begin with the second parameter.
        let statement = transaction.prepare_typed_cached(text, &types).await?;
        let row = transaction.query_one(&statement, &[&Json(self.context), &self.amendment.id, &who]).await?;
        if let Some(refused) = row.try_get::<_, Option<&str>>("refused_by")? {
            // Deleted meanwhile, it is as one that the caller may not see.
            return Ok(Err(Refusal::concealed(Layer::from_name(refused).unwrap_or(Layer::Consent))));
        }
        let role: Option<Role> = row
            .try_get::<_, Option<&str>>("role")?
            .map(|name| name.parse().map_err(|_| StoreError::Corrupt("role")))
            .transpose()?;
        if let Err(refusal) = self.may(role, row.try_get("uploaded_by")?) {
            return Ok(Err(refusal));
        }
        let unopened = found(&row)?;
        let raw = Raw::of(&row, unopened.place)?;
        let is_clear = matches!(raw, Raw::Clear(_));
        // Whose key was destroyed is no patient any more.
        let Some(text) = self.store.opened_one(raw).await? else {
            return Ok(Err(Refusal::concealed(Layer::Consent)));
        };
        Ok(Ok(Current {
            found: unopened.with(text),
            is_clear,
            patient: row.try_get("patient_id")?,
            data_source: row.try_get("data_source_id")?,
            coded: (row.try_get("system")?, row.try_get("code")?),
            display: row.try_get("display")?,
            user: row.try_get("user_id")?,
            key: key_id(&row)?.ok_or(StoreError::Corrupt("payload_key"))?,
            role,
        }))
    }

    /// Patients amend what is theirs. Who uploads for patients amends what they uploaded: a study takes nothing from the others.
    fn may(&self, role: Option<Role>, uploaded_by: Option<i32>) -> Result<(), Refusal> {
        match self.actor.principal {
            Principal::Patient(_) | Principal::SuperAdmin => Ok(()),
            Principal::Practitioner(_) => {
                permit(self.actor, Permission::UploadOnBehalf, role)
                    .map_err(|refusal| Refusal::known(refusal.layer))?;
                if uploaded_by == Some(self.actor.user.0) { Ok(()) } else { Err(Refusal::known(Layer::Role)) }
            }
        }
    }

    /// None when somebody else was faster.
    async fn carry_out(
        &self,
        transaction: &Transaction<'_>,
        current: Current,
        render: &(impl Fn(&str, i32) -> String + Sync),
    ) -> Result<Option<Amended>, StoreError> {
        let Found { id, version, .. } = current.found;
        let (patient, key, becomes) = (current.patient, current.key, self.amendment.becomes);
        let content = render(&current.display, current.user);
        let held = self.store.keys_to_seal(transaction, &BTreeMap::from([(key, patient)])).await?;
        let Some(payload) = sealed(&held, key, Place::of_observation(patient, id, version + 1), &content)? else {
            return Ok(Some(Amended::Refused(Refusal::concealed(Layer::Consent))));
        };
        let before = if current.is_clear {
            sealed(&held, key, Place::of_observation(patient, id, version), &current.found.content)?
        } else {
            None
        };
        let types = [
            Type::JSONB,
            Type::INT8,
            Type::INT4,
            Type::TEXT,
            Type::TIMESTAMPTZ,
            Type::TIMESTAMPTZ,
            Type::BYTEA,
            Type::BYTEA,
            Type::INT4,
            Type::INT4,
            Type::TEXT,
        ];
        let statement = transaction.prepare_typed_cached(AMEND, &types).await?;
        let row = transaction
            .query_opt(
                &statement,
                &[
                    &Json(self.context),
                    &id,
                    &version,
                    &becomes.status,
                    &becomes.effective_start,
                    &becomes.effective_end,
                    &payload,
                    &before,
                    &patient,
                    &self.practitioner(),
                    &current.role.map(Role::name),
                ],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Amended::Done(Found {
            id,
            version: version + 1,
            last_updated: row.try_get("at")?,
            effective_start: becomes.effective_start,
            source: current.found.source,
            content,
        })))
    }
}

/// The element in which an observation would be another one.
fn another(becomes: &NewObservation, current: &Current) -> Option<&'static str> {
    let (system, code) = &current.coded;
    if becomes.patient != current.patient {
        Some("Observation.subject")
    } else if (&becomes.system, &becomes.code) != (system, code) {
        Some("Observation.code")
    } else if becomes.data_source != current.data_source {
        Some("Observation.device")
    } else if becomes.identifiers.iter().cloned().collect::<BTreeSet<_>>() != identifiers(&current.found.content) {
        Some("Observation.identifier")
    } else {
        None
    }
}

/// The identifiers of a stored content: system (empty when none) and value.
fn identifiers(content: &str) -> BTreeSet<(String, String)> {
    let content: Value = serde_json::from_str(content).unwrap_or_default();
    let text = |one: &Value, name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let all = content.get("identifier").and_then(Value::as_array).into_iter().flatten();
    all.map(|one| (text(one, "system"), text(one, "value"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_those_of_the_content() {
        let content = r#"{"identifier":[{"system":"a","value":"1"},{"value":"2"}],"status":"final"}"#;
        let expected = [("a", "1"), ("", "2")].map(|(system, value)| (system.to_owned(), value.to_owned()));
        assert_eq!(identifiers(content), BTreeSet::from(expected));
        assert!(identifiers(r#"{"status":"final"}"#).is_empty());
    }

    #[test]
    fn a_practitioner_is_judged_by_the_consent() {
        assert!(OF_PRACTITIONER.contains("practitioner_permit"));
        assert!(AMEND.contains("audit_record("));
    }
}
