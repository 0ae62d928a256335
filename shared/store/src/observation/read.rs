//! Reading one observation by its id.

use super::{
    query::Reader,
    search::{Found, found},
};
use crate::{Store, StoreError, meter, payloads::Raw};
use audit::{Context, RefusedBy};
use std::sync::LazyLock;
use tokio_postgres::types::{Json, Type};

/// What came of a read.
#[derive(Clone, Debug)]
pub enum ReadOutcome {
    /// The observation.
    Found(Found),
    /// Refused, by a layer or because nothing has this id. The caller is told "not found" in both cases.
    Refused(RefusedBy),
}

/// What is read.
pub(super) const TARGET: &str = "
WITH target AS MATERIALIZED (
  SELECT id, patient_id, scope_id FROM observation WHERE id = $2
), ";

/// A practitioner's read of a `target`: the layers in order. `$3` is the practitioner.
pub(crate) const PRACTITIONER_LAYERS: &str = "permit AS MATERIALIZED (
  SELECT p.study_id, p.organization_id, p.role
    FROM target t
    JOIN practitioner_permit p ON p.patient_id = t.patient_id AND p.scope_id = t.scope_id
   WHERE p.practitioner_id = $3 AND p.may_read
), verdict AS MATERIALIZED (
  SELECT CASE
    WHEN EXISTS (SELECT FROM permit) THEN NULL
    WHEN NOT EXISTS (SELECT FROM target) THEN 'not_found'
    WHEN NOT EXISTS (SELECT FROM target t
                       JOIN patient_organization o ON o.patient_id = t.patient_id
                       JOIN organization_member m ON m.organization_id = o.organization_id AND m.practitioner_id = $3)
      THEN 'organization'
    WHEN NOT EXISTS (SELECT FROM target t
                       JOIN study_patient e ON e.patient_id = t.patient_id
                       JOIN study s ON s.id = e.study_id AND s.access_until > now()
                       JOIN study_scope_request r ON r.study_id = s.id AND r.scope_id = t.scope_id
                       JOIN organization_member m ON m.organization_id = s.organization_id AND m.practitioner_id = $3)
      THEN 'enrolment'
    ELSE 'consent' END AS refused_by
)";

/// The audit with the verdict, and the content only when all layers allow.
const PRACTITIONER_READ: &str = "
SELECT a.event_id, a.refused_by, o.id, o.version, o.last_updated, o.effective_start, o.content, o.payload, o.patient_id, o.source_id
  FROM (SELECT v.refused_by,
               audit_record($1, CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, v.refused_by,
                            ARRAY(SELECT DISTINCT organization_id FROM permit),
                            ARRAY(SELECT DISTINCT study_id FROM permit),
                            ARRAY(SELECT patient_id FROM target),
                            ARRAY(SELECT id FROM target),
                            (SELECT max(role) FROM permit)) AS event_id
          FROM verdict v) a
  LEFT JOIN observation o ON o.id = $2 AND a.refused_by IS NULL";

/// A patient's own, or a super admin's read. `$3` is the patient; null for the super admin.
pub(crate) const UNCONDITIONAL_LAYERS: &str = "verdict AS MATERIALIZED (
  SELECT CASE
    WHEN NOT EXISTS (SELECT FROM target) THEN 'not_found'
    WHEN $3::int IS NOT NULL AND NOT EXISTS (SELECT FROM target WHERE patient_id = $3) THEN 'user_type'
  END AS refused_by
)";

/// The same without the permit.
const UNCONDITIONAL_READ: &str = "
SELECT a.event_id, a.refused_by, o.id, o.version, o.last_updated, o.effective_start, o.content, o.payload, o.patient_id, o.source_id
  FROM (SELECT v.refused_by,
               audit_record($1, CASE WHEN v.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, v.refused_by,
                            '{}', '{}', ARRAY(SELECT patient_id FROM target), ARRAY(SELECT id FROM target)) AS event_id
          FROM verdict v) a
  LEFT JOIN observation o ON o.id = $2 AND a.refused_by IS NULL";

static PRACTITIONER: LazyLock<String> = LazyLock::new(|| format!("{TARGET}{PRACTITIONER_LAYERS}{PRACTITIONER_READ}"));
static UNCONDITIONAL: LazyLock<String> =
    LazyLock::new(|| format!("{TARGET}{UNCONDITIONAL_LAYERS}{UNCONDITIONAL_READ}"));

/// The statement of a reader, and its third parameter.
pub(super) fn statement(reader: Reader) -> (&'static str, Option<i32>) {
    match reader {
        Reader::Practitioner(practitioner) => (&PRACTITIONER, Some(practitioner.0)),
        Reader::Patient(patient) => (&UNCONDITIONAL, Some(patient.0)),
        Reader::Privileged => (&UNCONDITIONAL, None),
    }
}

impl Store {
    /// Reads an observation, and writes its audit record, in one statement.
    pub async fn read_observation(
        &self,
        context: &Context,
        reader: Reader,
        id: i64,
    ) -> Result<ReadOutcome, StoreError> {
        let (text, who) = statement(reader);
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(text, &[Type::JSONB, Type::INT8, Type::INT4]).await?;
        let row = client.query_one(&statement, &[&Json(context), &id, &who]).await?;
        if let Some(refused) = row.try_get::<_, Option<&str>>(1)? {
            let reason = RefusedBy::from_name(refused).ok_or(StoreError::Corrupt("refused_by"))?;
            return Ok(ReadOutcome::Refused(reason));
        }
        let found = found(&row)?;
        drop(client);
        // Whose key was destroyed is no patient any more.
        let Some(found) = self.opened_one(Raw::of(&row, found.place)?).await?.map(|text| found.with(text)) else {
            return Ok(ReadOutcome::Refused(RefusedBy::NotFound));
        };
        meter::observations_read(1);
        Ok(ReadOutcome::Found(found))
    }
}
