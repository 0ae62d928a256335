//! The consent ledger: decisions are appended; the present and the past are read from it.

use crate::{
    DataSource, Patient, Scope, Store, StoreError,
    observation::Reader,
    patient::{RECORD, VISIBLE, record},
};
use audit::{Context, RefusedBy};
use authz::PatientId;
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::LazyLock;
use tokio_postgres::types::{Json, Type};

/// A decision about one scope of one study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentDecision {
    /// The study may have the data.
    Granted,
    /// It may not.
    Refused,
    /// The decision is taken back: nothing is decided, nothing is shown.
    Withdrawn,
}

impl ConsentDecision {
    /// The name in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
        }
    }

    fn from_name(name: &str) -> Result<Self, StoreError> {
        [Self::Granted, Self::Refused, Self::Withdrawn]
            .into_iter()
            .find(|decision| decision.name() == name)
            .ok_or(StoreError::Corrupt("decision"))
    }

    /// What existing apps call `consented`: none when nothing is decided.
    #[must_use]
    pub const fn consented(self) -> Option<bool> {
        match self {
            Self::Granted => Some(true),
            Self::Refused => Some(false),
            Self::Withdrawn => None,
        }
    }
}

/// Who decides.
#[derive(Clone, Debug)]
pub enum DecidedBy {
    /// The patient.
    Patient,
    /// A practitioner on behalf of the patient, with the reference of the patient's authorization.
    OnBehalf(String),
}

/// One decision to append.
#[derive(Clone, Debug)]
pub struct ConsentChange {
    /// The study.
    pub study: i32,
    /// The scope's code system.
    pub system: String,
    /// The scope's code.
    pub code: String,
    /// The decision.
    pub decision: ConsentDecision,
    /// The actions granted: `r`, `s` or `rs`.
    pub actions: String,
}

/// A decision as appended.
#[derive(Clone, Debug)]
pub struct ConsentOutcome {
    /// The event's number in the ledger.
    pub id: i64,
    /// The enrolment that the decision is about.
    pub enrolment: i32,
    /// The study.
    pub study: i32,
    /// The scope.
    pub scope: Scope,
    /// What was decided.
    pub decision: ConsentDecision,
    /// The actions.
    pub actions: String,
    /// When.
    pub decided_at: Timestamp,
}

/// One scope that a study asks for, and what is decided about it.
#[derive(Clone, Debug, Deserialize)]
pub struct ScopeState {
    /// The scope.
    pub scope: Scope,
    /// The latest decision, if there is one.
    pub decision: Option<ConsentDecision>,
    /// Its actions.
    pub actions: Option<String>,
    /// When it was made.
    pub decided_at: Option<Timestamp>,
}

/// A study of the patient with the state of its consents.
#[derive(Clone, Debug, Deserialize)]
pub struct StudyConsents {
    /// The study.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Its organization.
    pub organization_id: i32,
    /// Its organization's name.
    pub organization_name: String,
    /// Its organization's type.
    pub organization_type: String,
    /// The data sources that it uses.
    pub data_sources: Vec<DataSource>,
    /// The scopes that it asks for.
    pub scopes: Vec<ScopeState>,
}

/// What a patient has consented to, at one instant.
#[derive(Clone, Debug)]
pub struct ConsentState {
    /// The patient.
    pub patient: Patient,
    /// The patient's studies that the caller may see.
    pub studies: Vec<StudyConsents>,
}

/// An event of the ledger.
#[derive(Clone, Debug)]
pub struct ConsentEvent {
    /// Its number.
    pub id: i64,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// The study.
    pub study: i32,
    /// The scope.
    pub scope: Scope,
    /// The decision.
    pub decision: ConsentDecision,
    /// The actions.
    pub actions: String,
    /// The user who decided.
    pub decided_by: i32,
    /// The authorization, when a practitioner decided on behalf of the patient.
    pub authorization_reference: Option<String>,
}

/// The state at an instant. 1 to 3 the reader, 4 audit context, 5 patient, 6 instant (none: now).
///
/// A practitioner sees the studies of their own organizations only: decisions about others are not theirs to know.
/// In the present only enrolments count; for the past, any study that the ledger names.
static STATE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH who AS MATERIALIZED (
  SELECT p.* FROM patient p WHERE p.id = $5 AND {VISIBLE}
), outcome AS MATERIALIZED (
  SELECT CASE WHEN EXISTS (SELECT FROM who) THEN NULL
              WHEN $2::int IS NOT NULL THEN 'user_type'
              WHEN EXISTS (SELECT FROM patient WHERE id = $5) THEN 'organization'
              ELSE 'not_found' END AS refused_by
), shown AS MATERIALIZED (
  SELECT s.id, s.name, s.description, o.id AS organization_id, o.name AS organization_name, o.type AS organization_type
    FROM who JOIN study s ON EXISTS (SELECT FROM study_patient e WHERE e.study_id = s.id AND e.patient_id = who.id)
                          OR ($6::timestamptz IS NOT NULL
                              AND EXISTS (SELECT FROM consent_event c WHERE c.study_id = s.id AND c.patient_id = who.id AND c.decided_at <= $6))
    JOIN organization o ON o.id = s.organization_id
   WHERE $3 OR who.id = $2
      OR EXISTS (SELECT FROM organization_member m WHERE m.organization_id = s.organization_id AND m.practitioner_id = $1)
), latest AS MATERIALIZED (
  SELECT DISTINCT ON (c.study_id, c.scope_id) c.study_id, c.scope_id, c.decision, c.actions, c.decided_at
    FROM consent_event c JOIN shown ON shown.id = c.study_id
   WHERE c.patient_id = $5 AND ($6::timestamptz IS NULL OR c.decided_at <= $6)
   ORDER BY c.study_id, c.scope_id, c.id DESC
)
SELECT a.event_id, a.refused_by,
       CASE WHEN p.id IS NOT NULL THEN {RECORD} END AS record,
       coalesce((SELECT jsonb_agg(jsonb_build_object(
           'id', s.id, 'name', s.name, 'description', s.description, 'organization_id', s.organization_id,
           'organization_name', s.organization_name, 'organization_type', s.organization_type,
           'data_sources', coalesce((SELECT jsonb_agg(jsonb_build_object('id', d.id, 'name', d.name, 'type', d.type,
               'supportedScopes', coalesce((SELECT jsonb_agg(jsonb_build_object('id', x.id, 'codingSystem', x.system, 'codingCode', x.code, 'text', x.text) ORDER BY x.id)
                                              FROM data_source_scope y JOIN scope x ON x.id = y.scope_id WHERE y.data_source_id = d.id), '[]')) ORDER BY d.id)
               FROM study_data_source z JOIN data_source d ON d.id = z.data_source_id WHERE z.study_id = s.id), '[]'),
           'scopes', coalesce((SELECT jsonb_agg(jsonb_build_object(
               'scope', jsonb_build_object('id', x.id, 'codingSystem', x.system, 'codingCode', x.code, 'text', x.text),
               'decision', l.decision, 'actions', l.actions, 'decided_at', l.decided_at) ORDER BY x.id)
               FROM scope x
               LEFT JOIN latest l ON l.study_id = s.id AND l.scope_id = x.id
              WHERE l.scope_id IS NOT NULL
                 OR EXISTS (SELECT FROM study_scope_request r WHERE r.study_id = s.id AND r.scope_id = x.id)), '[]')) ORDER BY s.id)
         FROM shown s), '[]') AS studies
  FROM (SELECT o.refused_by,
               audit_record($4, CASE WHEN o.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, o.refused_by,
                            ARRAY(SELECT DISTINCT organization_id FROM shown), ARRAY(SELECT id FROM shown),
                            ARRAY(SELECT id FROM patient WHERE id = $5), '{{}}') AS event_id
          FROM outcome o) a
  LEFT JOIN who p ON true"
    )
});

/// 1 to 3 the reader, 4 audit context, 5 patient, 6 after, 7 count.
static HISTORY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH who AS MATERIALIZED (
  SELECT p.id FROM patient p WHERE p.id = $5 AND {VISIBLE}
), outcome AS MATERIALIZED (
  SELECT CASE WHEN EXISTS (SELECT FROM who) THEN NULL
              WHEN $2::int IS NOT NULL THEN 'user_type'
              WHEN EXISTS (SELECT FROM patient WHERE id = $5) THEN 'organization'
              ELSE 'not_found' END AS refused_by
), shown AS MATERIALIZED (
  SELECT c.*, s.organization_id FROM consent_event c JOIN who ON who.id = c.patient_id JOIN study s ON s.id = c.study_id
   WHERE c.id < $6
     AND ($3 OR who.id = $2
          OR EXISTS (SELECT FROM organization_member m WHERE m.organization_id = s.organization_id AND m.practitioner_id = $1))
   ORDER BY c.id DESC LIMIT $7
)
SELECT a.event_id, a.refused_by, c.id, c.decided_at, c.study_id, c.decision, c.actions, c.decided_by, c.authorization_reference,
       x.id AS scope_id, x.system, x.code, x.text
  FROM (SELECT o.refused_by,
               audit_record($4, CASE WHEN o.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, o.refused_by,
                            ARRAY(SELECT DISTINCT organization_id FROM shown), ARRAY(SELECT DISTINCT study_id FROM shown),
                            ARRAY(SELECT id FROM patient WHERE id = $5), '{{}}') AS event_id
          FROM outcome o) a
  LEFT JOIN (shown c JOIN scope x ON x.id = c.scope_id) ON true
 ORDER BY c.id DESC"
    )
});

/// What a decision must meet: the enrolment, the request, and the practitioner's role in the study's organization.
const FACTS: &str = "
SELECT i.n, e.id AS enrolment, s.id AS scope_id, s.text,
       EXISTS (SELECT FROM study_scope_request r WHERE r.study_id = i.study_id AND r.scope_id = s.id) AS requested,
       (SELECT m.role::text FROM study t JOIN organization_member m ON m.organization_id = t.organization_id
         WHERE t.id = i.study_id AND m.practitioner_id = $5) AS role
  FROM unnest($2::int[], $3::text[], $4::text[]) WITH ORDINALITY AS i(study_id, system, code, n)
  LEFT JOIN study_patient e ON e.study_id = i.study_id AND e.patient_id = $1
  LEFT JOIN scope s ON s.code = i.code AND s.system = i.system
 ORDER BY i.n";

const APPEND: &str = "
INSERT INTO consent_event (patient_id, study_id, scope_id, decision, actions, decided_by, authorization_reference, request_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING id, decided_at";

/// What the caller of [`Store::decide_consents`] judges a change by.
#[derive(Clone, Debug)]
pub struct ConsentFacts {
    /// The enrolment; none when the patient is not enrolled in the study.
    pub enrolment: Option<i32>,
    /// The scope; none when no scope has this code.
    pub scope: Option<Scope>,
    /// True when the study asks for the scope.
    pub requested: bool,
    /// The practitioner's role in the study's organization.
    pub role: Option<authz::Role>,
}

impl Store {
    /// What a patient has consented to now, or had at an instant, with the audit record, in one statement.
    pub async fn consents(
        &self,
        context: &Context,
        reader: Reader,
        patient: PatientId,
        at: Option<Timestamp>,
    ) -> Result<Result<ConsentState, RefusedBy>, StoreError> {
        let (practitioner, own, privileged) = reader.parts();
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &STATE,
                &[Type::INT4, Type::INT4, Type::BOOL, Type::JSONB, Type::INT4, Type::TIMESTAMPTZ],
            )
            .await?;
        let row = client
            .query_one(&statement, &[&practitioner, &own, &privileged, &Json(context), &patient.0, &at])
            .await?;
        if let Some(refused) = row.try_get::<_, Option<&str>>("refused_by")? {
            return Ok(Err(RefusedBy::from_name(refused).ok_or(StoreError::Corrupt("refused_by"))?));
        }
        Ok(Ok(ConsentState {
            patient: record(&row)?.ok_or(StoreError::Corrupt("record"))?,
            studies: row.try_get::<_, Json<Vec<StudyConsents>>>("studies")?.0,
        }))
    }

    /// A page of the patient's ledger, newest first, with the audit record, in one statement.
    pub async fn consent_history(
        &self,
        context: &Context,
        reader: Reader,
        patient: PatientId,
        before: i64,
        count: i64,
    ) -> Result<Result<Vec<ConsentEvent>, RefusedBy>, StoreError> {
        let (practitioner, own, privileged) = reader.parts();
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &HISTORY,
                &[Type::INT4, Type::INT4, Type::BOOL, Type::JSONB, Type::INT4, Type::INT8, Type::INT8],
            )
            .await?;
        let rows = client
            .query(&statement, &[&practitioner, &own, &privileged, &Json(context), &patient.0, &before, &count])
            .await?;
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(refused) = row.try_get::<_, Option<&str>>("refused_by")? {
                return Ok(Err(RefusedBy::from_name(refused).ok_or(StoreError::Corrupt("refused_by"))?));
            }
            if let Some(id) = row.try_get("id")? {
                events.push(ConsentEvent {
                    id,
                    decided_at: row.try_get("decided_at")?,
                    study: row.try_get("study_id")?,
                    scope: Scope {
                        id: row.try_get("scope_id")?,
                        coding_system: row.try_get("system")?,
                        coding_code: row.try_get("code")?,
                        text: row.try_get("text")?,
                    },
                    decision: ConsentDecision::from_name(row.try_get("decision")?)?,
                    actions: row.try_get("actions")?,
                    decided_by: row.try_get("decided_by")?,
                    authorization_reference: row.try_get("authorization_reference")?,
                });
            }
        }
        Ok(Ok(events))
    }

    /// Appends decisions, all or none, with the audit record, in one transaction. `judge` decides each change by its
    /// facts and gives who decides; its refusal is recorded and returned with the position of the change.
    pub async fn decide_consents(
        &self,
        context: &Context,
        practitioner: Option<authz::PractitionerId>,
        user: authz::UserId,
        patient: PatientId,
        decided_by: &DecidedBy,
        changes: &[ConsentChange],
        judge: impl Fn(&ConsentFacts) -> Result<(), RefusedBy> + Sync,
    ) -> Result<Result<Vec<ConsentOutcome>, (usize, RefusedBy)>, StoreError> {
        let studies: Vec<i32> = changes.iter().map(|change| change.study).collect();
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let facts = facts(&transaction, patient, practitioner, changes).await?;
        for (position, facts) in facts.iter().enumerate() {
            if let Err(reason) = judge(facts) {
                record_change(&transaction, context, Some(reason), &studies, patient).await?;
                transaction.commit().await?;
                return Ok(Err((position, reason)));
            }
        }
        let statement = transaction.prepare_cached(APPEND).await?;
        let reference = match decided_by {
            DecidedBy::Patient => None,
            DecidedBy::OnBehalf(reference) => Some(reference.as_str()),
        };
        let mut outcomes = Vec::with_capacity(changes.len());
        for (change, facts) in changes.iter().zip(facts) {
            let (Some(scope), Some(enrolment)) = (facts.scope, facts.enrolment) else {
                return Err(StoreError::Corrupt("judged without scope or enrolment"));
            };
            let row = transaction
                .query_one(
                    &statement,
                    &[
                        &patient.0, &change.study, &scope.id, &change.decision.name(), &change.actions, &user.0,
                        &reference, &context.request_id,
                    ],
                )
                .await?;
            outcomes.push(ConsentOutcome {
                id: row.try_get(0)?,
                enrolment,
                study: change.study,
                scope,
                decision: change.decision,
                actions: change.actions.clone(),
                decided_at: row.try_get(1)?,
            });
        }
        record_change(&transaction, context, None, &studies, patient).await?;
        transaction.commit().await?;
        Ok(Ok(outcomes))
    }
}

async fn facts(
    transaction: &deadpool_postgres::Transaction<'_>,
    patient: PatientId,
    practitioner: Option<authz::PractitionerId>,
    changes: &[ConsentChange],
) -> Result<Vec<ConsentFacts>, StoreError> {
    let studies: Vec<i32> = changes.iter().map(|change| change.study).collect();
    let systems: Vec<&str> = changes.iter().map(|change| change.system.as_str()).collect();
    let codes: Vec<&str> = changes.iter().map(|change| change.code.as_str()).collect();
    let statement = transaction
        .prepare_typed_cached(
            FACTS,
            &[Type::INT4, Type::INT4_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::INT4],
        )
        .await?;
    let rows = transaction
        .query(&statement, &[&patient.0, &studies, &systems, &codes, &practitioner.map(|id| id.0)])
        .await?;
    rows.iter()
        .zip(changes)
        .map(|(row, change)| {
            let text: Option<String> = row.try_get("text")?;
            let scope = row.try_get::<_, Option<i32>>("scope_id")?.map(|id| Scope {
                id,
                coding_system: change.system.clone(),
                coding_code: change.code.clone(),
                text: text.unwrap_or_default(),
            });
            let role = row.try_get::<_, Option<&str>>("role")?.map(str::parse).transpose();
            Ok(ConsentFacts {
                enrolment: row.try_get("enrolment")?,
                scope,
                requested: row.try_get("requested")?,
                role: role.map_err(|_| StoreError::Corrupt("role"))?,
            })
        })
        .collect()
}

async fn record_change(
    transaction: &deadpool_postgres::Transaction<'_>,
    context: &Context,
    refused_by: Option<RefusedBy>,
    studies: &[i32],
    patient: PatientId,
) -> Result<(), StoreError> {
    let statement = transaction
        .prepare_typed_cached(
            "SELECT audit_record($1, $2, $3, ARRAY(SELECT DISTINCT organization_id FROM study WHERE id = ANY ($4)),
                                 ARRAY(SELECT DISTINCT id FROM study WHERE id = ANY ($4)),
                                 ARRAY(SELECT id FROM patient WHERE id = $5), '{}')",
            &[Type::JSONB, Type::TEXT, Type::TEXT, Type::INT4_ARRAY, Type::INT4],
        )
        .await?;
    let outcome = if refused_by.is_none() { "allowed" } else { "denied" };
    let reason = refused_by.map(RefusedBy::name);
    transaction
        .execute(&statement, &[&Json(context), &outcome, &reason, &studies, &patient.0])
        .await?;
    Ok(())
}

