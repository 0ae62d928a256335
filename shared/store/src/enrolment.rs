//! Enrolment of patients in studies.

use crate::{
    Patient, Store, StoreError,
    error::refers_to_nothing,
    observation::Reader,
    patient::{RECORD, record},
};
use audit::Context;
use authz::StudyId;
use std::sync::LazyLock;
use tokio_postgres::types::{Json, ToSql, Type};

/// A patient in a study.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The row's id.
    pub id: i32,
    /// The patient.
    pub patient: Patient,
}

/// 1 to 3 the reader, 4 audit context, 5 study, 6 patients.
static ENROL: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH eligible AS MATERIALIZED (
  SELECT s.id AS study_id, s.organization_id, o.patient_id
    FROM study s JOIN patient_organization o ON o.organization_id = s.organization_id
   WHERE s.id = $5 AND o.patient_id = ANY ($6::int[])
), complete AS MATERIALIZED (
  SELECT (SELECT count(*) FROM eligible) = (SELECT count(DISTINCT id) FROM unnest($6::int[]) AS n(id)) AS yes
), added AS (
  INSERT INTO study_patient (study_id, organization_id, patient_id)
  SELECT study_id, organization_id, patient_id FROM eligible CROSS JOIN complete WHERE complete.yes
  ON CONFLICT (study_id, patient_id) DO NOTHING
  RETURNING *
), enrolled AS MATERIALIZED (
  SELECT id, patient_id FROM added
  UNION
  SELECT id, patient_id FROM study_patient CROSS JOIN complete
   WHERE study_id = $5 AND patient_id = ANY ($6::int[]) AND complete.yes
)
SELECT a.event_id, a.yes, e.id, CASE WHEN p.id IS NOT NULL THEN {RECORD} END AS record
  FROM (SELECT yes,
               audit_record($4, CASE WHEN yes THEN 'allowed' ELSE 'denied' END, CASE WHEN NOT yes THEN 'organization' END,
                            ARRAY(SELECT organization_id FROM study WHERE id = $5), ARRAY(SELECT id FROM study WHERE id = $5),
                            ARRAY(SELECT id FROM patient WHERE id = ANY ($6::int[])), '{{}}',
                            (SELECT m.role FROM study s JOIN organization_member m ON m.organization_id = s.organization_id
                              WHERE s.id = $5 AND m.practitioner_id = $1),
                            NULL, (SELECT jsonb_build_object('enrolments', jsonb_agg(to_jsonb(added) ORDER BY added.id)) FROM added
                                   HAVING count(*) > 0)) AS event_id
          FROM complete) a
  LEFT JOIN (enrolled e JOIN patient p ON p.id = e.patient_id) ON true
 ORDER BY p.id"
    )
});

const END_ENROLMENT: &str = "
WITH ended AS (
  DELETE FROM study_patient WHERE study_id = $2 AND patient_id = ANY ($3::int[]) RETURNING *
)
SELECT audit_record($1, 'allowed', NULL, ARRAY(SELECT organization_id FROM study WHERE id = $2), ARRAY(SELECT id FROM study WHERE id = $2),
                    ARRAY(SELECT patient_id FROM ended ORDER BY 1), '{}',
                    (SELECT m.role FROM study s JOIN organization_member m ON m.organization_id = s.organization_id
                       JOIN practitioner p ON p.id = m.practitioner_id
                      WHERE s.id = $2 AND p.user_id = ($1->>'actor_user_id')::int),
                    (SELECT jsonb_build_object('enrolments', jsonb_agg(to_jsonb(ended) ORDER BY ended.id)) FROM ended
                     HAVING count(*) > 0), NULL) AS event_id,
       (SELECT count(*) FROM ended) AS ended";

impl Store {
    /// Enrols patients of the study's organization, and writes the audit record, in one statement. Who is enrolled
    /// already stays so. None, and nobody is enrolled, when one of them is not a patient of the organization, or there is
    /// no such study any more.
    pub async fn enrol(
        &self,
        context: &Context,
        reader: Reader,
        study: StudyId,
        patients: &[i32],
    ) -> Result<Option<Vec<Enrolment>>, StoreError> {
        let (practitioner, own, privileged) = reader.parts();
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &ENROL,
                &[Type::INT4, Type::INT4, Type::BOOL, Type::JSONB, Type::INT4, Type::INT4_ARRAY],
            )
            .await?;
        let context = Json(context);
        let values: [&(dyn ToSql + Sync); 6] = [&practitioner, &own, &privileged, &context, &study.0, &patients];
        let rows = match client.query(&statement, &values).await {
            // The study, or a patient's place in its organization, was deleted while the statement ran. Now that is seen.
            Err(error) if refers_to_nothing(&error) => client.query(&statement, &values).await?,
            rows => rows?,
        };
        let mut enrolments = Vec::with_capacity(rows.len());
        for row in &rows {
            if !row.try_get::<_, bool>("yes")? {
                return Ok(None);
            }
            if let (Some(id), Some(patient)) = (row.try_get("id")?, record(row)?) {
                enrolments.push(Enrolment { id, patient });
            }
        }
        Ok(Some(enrolments))
    }

    /// Ends enrolments, and writes the audit record, in one statement. The consents stay in the ledger; without
    /// enrolment they show nothing, and another enrolment asks anew. Returns how many ended.
    pub async fn end_enrolment(&self, context: &Context, study: StudyId, patients: &[i32]) -> Result<i64, StoreError> {
        let client = self.connection().await?;
        let statement =
            client.prepare_typed_cached(END_ENROLMENT, &[Type::JSONB, Type::INT4, Type::INT4_ARRAY]).await?;
        let row = client.query_one(&statement, &[&Json(context), &study.0, &patients]).await?;
        Ok(row.try_get("ended")?)
    }
}
