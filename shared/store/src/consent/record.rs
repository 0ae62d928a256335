//! Decisions of the ledger, one by one: what FHIR calls a Consent.

use super::ConsentDecision;
use crate::{Store, StoreError, observation::Reader, patient::VISIBLE};
use audit::{Context, RefusedBy};
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::LazyLock;
use tokio_postgres::types::{Json, Type};

/// A decision, with whom and what it is about.
#[derive(Clone, Debug, Deserialize)]
pub struct ConsentRecord {
    /// Its number in the ledger.
    pub id: i64,
    /// The patient.
    pub patient: i32,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// The study.
    pub study: i32,
    /// The study's name.
    pub study_name: String,
    /// The study's organization.
    pub organization: i32,
    /// The code system of the scope.
    pub system: String,
    /// The code.
    pub code: String,
    /// The code in words.
    pub text: String,
    /// What was decided.
    pub decision: ConsentDecision,
    /// For which actions: `r`, `s` or `rs`.
    pub actions: String,
    /// The account of who decided.
    pub decided_by: i32,
    /// The authorization, when somebody decided on behalf of the patient.
    pub authorization_reference: Option<String>,
    /// Whether it counts: it is the latest about its study and scope, and was made since the study asks and the patient is enrolled.
    pub in_force: bool,
}

/// A [`ConsentRecord`] as one JSON object: `c` is the event of the ledger, `y` its study, `x` its scope.
pub(crate) const CONSENT: &str = "
jsonb_build_object(
  'id', c.id, 'patient', c.patient_id, 'decided_at', c.decided_at, 'study', y.id, 'study_name', y.name,
  'organization', y.organization_id, 'system', x.system, 'code', x.code, 'text', x.text, 'decision', c.decision,
  'actions', c.actions, 'decided_by', c.decided_by, 'authorization_reference', c.authorization_reference,
  'in_force', EXISTS (SELECT FROM consent_current n
                        JOIN study_patient e ON e.study_id = n.study_id AND e.patient_id = n.patient_id AND e.enrolled_at <= n.decided_at
                        JOIN study_scope_request r ON r.study_id = n.study_id AND r.scope_id = n.scope_id AND r.requested_at <= n.decided_at
                       WHERE n.patient_id = c.patient_id AND n.study_id = c.study_id AND n.scope_id = c.scope_id AND n.event_id = c.id))";

/// Whether decisions of the patient `c.patient_id` about the study `y` are for a reader to know, who may see the patient: a practitioner knows
/// those about studies of their own organizations.
pub(crate) fn known_to(practitioner: &str, patient: &str, privileged: &str) -> String {
    format!(
        "({privileged} OR c.patient_id = {patient}
           OR EXISTS (SELECT FROM organization_member m WHERE m.organization_id = y.organization_id AND m.practitioner_id = {practitioner}))"
    )
}

/// 1 to 3 the reader, 4 audit context, 5 number of the event.
static READ: LazyLock<String> = LazyLock::new(|| {
    let known = known_to("$1", "$2", "$3");
    format!(
        "
WITH target AS MATERIALIZED (
  SELECT c.id, c.patient_id, c.study_id, y.organization_id, {VISIBLE} IS TRUE AND {known} IS TRUE AS is_known
    FROM consent_event c JOIN patient p ON p.id = c.patient_id JOIN study y ON y.id = c.study_id
   WHERE c.id = $5
), verdict AS MATERIALIZED (
  SELECT CASE WHEN EXISTS (SELECT FROM target WHERE is_known) THEN NULL
              WHEN NOT EXISTS (SELECT FROM target) THEN 'not_found'
              WHEN $2::int IS NOT NULL THEN 'user_type'
              ELSE 'organization' END AS refused_by
)
SELECT a.event_id, a.refused_by, CASE WHEN c.id IS NOT NULL THEN {CONSENT} END AS record
  FROM (SELECT v.refused_by,
               audit_record($4 || jsonb_build_object('detail', jsonb_build_object('consents', jsonb_build_array($5::bigint))),
                            CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, v.refused_by,
                            ARRAY(SELECT organization_id FROM target WHERE is_known), ARRAY(SELECT study_id FROM target WHERE is_known),
                            ARRAY(SELECT patient_id FROM target), '{{}}') AS event_id
          FROM verdict v) a
  LEFT JOIN (target t JOIN consent_event c ON c.id = t.id JOIN study y ON y.id = c.study_id JOIN scope x ON x.id = c.scope_id)
         ON a.refused_by IS NULL"
    )
});

impl Store {
    /// Reads a decision by its number, and writes the audit record, in one statement.
    pub async fn read_consent(
        &self,
        context: &Context,
        reader: Reader,
        id: i64,
    ) -> Result<Result<ConsentRecord, RefusedBy>, StoreError> {
        let (practitioner, own, privileged) = reader.parts();
        let client = self.connection().await?;
        let types = [Type::INT4, Type::INT4, Type::BOOL, Type::JSONB, Type::INT8];
        let statement = client.prepare_typed_cached(&READ, &types).await?;
        let row = client.query_one(&statement, &[&practitioner, &own, &privileged, &Json(context), &id]).await?;
        if let Some(refused) = row.try_get::<_, Option<&str>>("refused_by")? {
            return Ok(Err(RefusedBy::from_name(refused).ok_or(StoreError::Corrupt("refused_by"))?));
        }
        Ok(Ok(row.try_get::<_, Json<ConsentRecord>>("record")?.0))
    }
}
