//! Enrolment of patients in studies.

use crate::{Store, StoreError};
use audit::Context;
use authz::{PatientId, StudyId};
use serde::Deserialize;
use tokio_postgres::types::{Json, Type};

/// A patient in a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Enrolment {
    /// The row's id.
    pub id: i32,
    /// The patient.
    pub patient: PatientId,
}

const ENROL: &str = "
WITH eligible AS MATERIALIZED (
  SELECT s.id AS study_id, s.organization_id, o.patient_id
    FROM study s JOIN patient_organization o ON o.organization_id = s.organization_id
   WHERE s.id = $2 AND o.patient_id = ANY ($3::int[])
), complete AS MATERIALIZED (
  SELECT (SELECT count(*) FROM eligible) = (SELECT count(DISTINCT id) FROM unnest($3::int[]) AS n(id)) AS yes
), added AS (
  INSERT INTO study_patient (study_id, organization_id, patient_id)
  SELECT study_id, organization_id, patient_id FROM eligible CROSS JOIN complete WHERE complete.yes
  ON CONFLICT (study_id, patient_id) DO NOTHING
  RETURNING id, patient_id
)
SELECT audit_record($1, CASE WHEN yes THEN 'allowed' ELSE 'denied' END, CASE WHEN yes THEN NULL ELSE 'organization' END,
                    ARRAY(SELECT organization_id FROM study WHERE id = $2), ARRAY[$2], $3, '{}') AS event_id,
       CASE WHEN yes THEN (SELECT coalesce(jsonb_agg(jsonb_build_object('id', e.id, 'patient', e.patient_id) ORDER BY e.patient_id), '[]')
                             FROM (SELECT id, patient_id FROM added
                                   UNION
                                   SELECT id, patient_id FROM study_patient WHERE study_id = $2 AND patient_id = ANY ($3::int[])) e) END AS enrolments
  FROM complete";

const END_ENROLMENT: &str = "
WITH ended AS (
  DELETE FROM study_patient WHERE study_id = $2 AND patient_id = ANY ($3::int[]) RETURNING patient_id
)
SELECT audit_record($1, 'allowed', NULL, ARRAY(SELECT organization_id FROM study WHERE id = $2), ARRAY[$2],
                    ARRAY(SELECT patient_id FROM ended), '{}') AS event_id,
       (SELECT count(*) FROM ended) AS ended";

impl Store {
    /// Enrols patients of the study's organization, and writes the audit record, in one statement. Who is enrolled
    /// already stays so. None, and nobody is enrolled, when one of them is not a patient of the organization.
    pub async fn enrol(
        &self,
        context: &Context,
        study: StudyId,
        patients: &[i32],
    ) -> Result<Option<Vec<Enrolment>>, StoreError> {
        let client = self.connection().await?;
        let statement =
            client.prepare_typed_cached(ENROL, &[Type::JSONB, Type::INT4, Type::INT4_ARRAY]).await?;
        let row = client.query_one(&statement, &[&Json(context), &study.0, &patients]).await?;
        Ok(row.try_get::<_, Option<Json<Vec<Enrolment>>>>("enrolments")?.map(|json| json.0))
    }

    /// Ends enrolments, and writes the audit record, in one statement. The consents stay in the ledger; without
    /// enrolment they show nothing. Returns how many ended.
    pub async fn end_enrolment(
        &self,
        context: &Context,
        study: StudyId,
        patients: &[i32],
    ) -> Result<i64, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(END_ENROLMENT, &[Type::JSONB, Type::INT4, Type::INT4_ARRAY])
            .await?;
        let row = client.query_one(&statement, &[&Json(context), &study.0, &patients]).await?;
        Ok(row.try_get("ended")?)
    }
}
