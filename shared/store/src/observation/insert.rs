//! Storing observations that passed every layer, and their audit record, in one statement.

use super::create::NewObservation;
use crate::{StoreError, error::refers_to_nothing};
use audit::Context;
use authz::Role;
use deadpool_postgres::Transaction;
use jiff::Timestamp;
use std::collections::HashMap;
use tokio_postgres::types::{Json, Type};

/// An observation that passed every layer.
pub(super) struct Accepted<'a> {
    pub(super) position: usize,
    pub(super) scope_id: i32,
    pub(super) id: i64,
    /// As it is answered with, and as it is stored.
    pub(super) content: String,
    pub(super) payload: Vec<u8>,
    pub(super) observation: &'a NewObservation,
}

/// The audit has the organizations by which it was allowed: a patient's own are those of the patient; a practitioner's ($14)
/// those in which the role suffices.
const INSERT: &str = "
WITH moment AS MATERIALIZED (
  SELECT clock_timestamp() AS at
), numbered AS MATERIALIZED (
  SELECT i.*
    FROM unnest($2::int[], $3::int[], $4::int[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::bytea[], $9::bigint[],
                $15::int[], $16::bigint[])
      AS i(patient_id, scope_id, data_source_id, status, effective_start, effective_end, payload, n, source_id, id)
), stored AS (
  INSERT INTO observation (id, patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, payload, source_id, uploaded_by)
  SELECT id, patient_id, scope_id, data_source_id, status, at, effective_start, effective_end, payload, source_id,
         CASE WHEN $1->>'actor_type' <> 'patient' THEN ($1->>'actor_user_id')::int END
    FROM numbered CROSS JOIN moment
), identified AS (
  INSERT INTO observation_identifier (patient_id, value, system, observation_id)
  SELECT DISTINCT numbered.patient_id, i.value, i.system, numbered.id
    FROM numbered JOIN unnest($10::bigint[], $11::text[], $12::text[]) AS i(n, system, value) ON i.n = numbered.n
   ORDER BY 1, 2, 3
)
SELECT numbered.n, moment.at, a.event_id
  FROM (SELECT audit_record($1, 'allowed', NULL,
                            ARRAY(SELECT DISTINCT o.organization_id
                                    FROM (SELECT DISTINCT patient_id FROM numbered) n
                                    JOIN patient_organization o ON o.patient_id = n.patient_id
                                   WHERE $14::int IS NULL
                                      OR EXISTS (SELECT FROM organization_member m
                                                  WHERE m.organization_id = o.organization_id AND m.practitioner_id = $14 AND m.role >= 'member')
                                   ORDER BY 1), '{}',
                            ARRAY(SELECT DISTINCT patient_id FROM numbered), ARRAY(SELECT id FROM numbered), $13::text::member_role) AS event_id) a
 CROSS JOIN moment CROSS JOIN numbered";

/// Stores what is accepted: for each, by its place among them, when it was stored.
pub(super) async fn insert(
    transaction: &Transaction<'_>,
    context: &Context,
    practitioner: Option<i32>,
    accepted: &[Accepted<'_>],
    role: Option<Role>,
) -> Result<HashMap<usize, Timestamp>, StoreError> {
    let column =
        |value: fn(&NewObservation) -> i32| -> Vec<i32> { accepted.iter().map(|one| value(one.observation)).collect() };
    let time = |value: fn(&NewObservation) -> Timestamp| -> Vec<Timestamp> {
        accepted.iter().map(|one| value(one.observation)).collect()
    };
    let scopes: Vec<i32> = accepted.iter().map(|one| one.scope_id).collect();
    let statuses: Vec<&str> = accepted.iter().map(|one| one.observation.status.as_str()).collect();
    let payloads: Vec<&[u8]> = accepted.iter().map(|one| one.payload.as_slice()).collect();
    let ids: Vec<i64> = accepted.iter().map(|one| one.id).collect();
    let brought_by: Vec<Option<i32>> = accepted.iter().map(|one| one.observation.source).collect();
    let numbers: Vec<i64> = (0_i64..).zip(accepted).map(|(number, _)| number).collect();
    let mut identified = Vec::new();
    let mut systems = Vec::new();
    let mut values = Vec::new();
    for (number, one) in (0_i64..).zip(accepted) {
        for (system, value) in &one.observation.identifiers {
            identified.push(number);
            systems.push(system);
            values.push(value);
        }
    }
    let statement = transaction
        .prepare_typed_cached(
            INSERT,
            &[
                Type::JSONB,
                Type::INT4_ARRAY,
                Type::INT4_ARRAY,
                Type::INT4_ARRAY,
                Type::TEXT_ARRAY,
                Type::TIMESTAMPTZ_ARRAY,
                Type::TIMESTAMPTZ_ARRAY,
                Type::BYTEA_ARRAY,
                Type::INT8_ARRAY,
                Type::INT8_ARRAY,
                Type::TEXT_ARRAY,
                Type::TEXT_ARRAY,
                Type::TEXT,
                Type::INT4,
                Type::INT4_ARRAY,
                Type::INT8_ARRAY,
            ],
        )
        .await?;
    let found = transaction
        .query(
            &statement,
            &[
                &Json(context),
                &column(|o| o.patient),
                &scopes,
                &column(|o| o.data_source),
                &statuses,
                &time(|o| o.effective_start),
                &time(|o| o.effective_end),
                &payloads,
                &numbers,
                &identified,
                &systems,
                &values,
                &role.map(Role::name),
                &practitioner,
                &brought_by,
                &ids,
            ],
        )
        .await;
    let rows = match found {
        // Its FHIR Source was deleted meanwhile: the same request, sent again, is told so.
        Err(error) if refers_to_nothing(&error) => return Err(StoreError::Contention),
        found => found?,
    };
    rows.iter()
        .map(|row| {
            let number: i64 = row.try_get(0)?;
            let number = usize::try_from(number).map_err(|_| StoreError::Corrupt("n"))?;
            Ok((number, row.try_get(1)?))
        })
        .collect()
}
