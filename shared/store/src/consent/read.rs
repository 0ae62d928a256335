//! Reading the ledger: the state at an instant, and the history.

use super::{ConsentDecision, ConsentEvent, ConsentHistory, ConsentState, StudyConsents};
use crate::{
    COUNTED, Named, Scope, Slice, Store, StoreError,
    observation::Reader,
    patient::{RECORD, VISIBLE, record},
};
use audit::{Context, RefusedBy};
use authz::PatientId;
use jiff::Timestamp;
use std::sync::LazyLock;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// Whether the reader may see the patient, as `outcome`: 2 the patient who reads, 5 the patient, `who` those seen.
const OUTCOME: &str = "outcome AS MATERIALIZED (
  SELECT CASE WHEN EXISTS (SELECT FROM who) THEN NULL
              WHEN NOT EXISTS (SELECT FROM patient WHERE id = $5) THEN 'not_found'
              WHEN $2::int IS NOT NULL THEN 'user_type'
              ELSE 'organization' END AS refused_by
)";

/// The state at an instant. 1 to 3 the reader, 4 audit context, 5 patient, 6 instant (none: now).
///
/// A practitioner sees the studies of their own organizations only: decisions about others are not theirs to know.
/// In the present enrolments count, and grants that outlive theirs, so that they can be taken back; for the past, any study
/// that the ledger names. A request that was taken back and made again asks anew, and so does a new enrolment: what was decided
/// before counts no more.
static STATE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH who AS MATERIALIZED (
  SELECT p.* FROM patient p WHERE p.id = $5 AND {VISIBLE}
), {OUTCOME}, shown AS MATERIALIZED (
  SELECT s.id, s.name, s.description, o.id AS organization_id, o.name AS organization_name, o.type AS organization_type,
         s.status, s.starts_on, s.ends_on, CASE WHEN isfinite(s.access_until) THEN s.access_until END AS access_until,
         s.access_until > now() AS gives_access,
         $6::timestamptz IS NOT NULL
           OR EXISTS (SELECT FROM study_patient e WHERE e.study_id = s.id AND e.patient_id = who.id) AS enrolled
    FROM who JOIN study s ON EXISTS (SELECT FROM study_patient e WHERE e.study_id = s.id AND e.patient_id = who.id)
                          OR ($6::timestamptz IS NULL
                              AND EXISTS (SELECT FROM consent_current c WHERE c.study_id = s.id AND c.patient_id = who.id AND c.decision = 'granted'))
                          OR ($6::timestamptz IS NOT NULL
                              AND EXISTS (SELECT FROM consent_event c WHERE c.study_id = s.id AND c.patient_id = who.id AND c.decided_at <= $6))
    JOIN organization o ON o.id = s.organization_id
   WHERE $3 OR who.id = $2
      OR EXISTS (SELECT FROM organization_member m WHERE m.organization_id = s.organization_id AND m.practitioner_id = $1)
), latest AS MATERIALIZED (
  SELECT DISTINCT ON (c.study_id, c.scope_id) c.study_id, c.scope_id, c.decision, c.actions, c.decided_at,
         $6::timestamptz IS NULL
           AND (EXISTS (SELECT FROM study_scope_request r
                         WHERE r.study_id = c.study_id AND r.scope_id = c.scope_id AND r.requested_at > c.decided_at)
                OR EXISTS (SELECT FROM study_patient e
                            WHERE e.study_id = c.study_id AND e.patient_id = c.patient_id AND e.enrolled_at > c.decided_at)) AS asked_anew
    FROM consent_event c JOIN shown ON shown.id = c.study_id
   WHERE c.patient_id = $5 AND ($6::timestamptz IS NULL OR c.decided_at <= $6)
   ORDER BY c.study_id, c.scope_id, c.id DESC
)
SELECT a.event_id, a.refused_by,
       CASE WHEN p.id IS NOT NULL THEN {RECORD} END AS record,
       coalesce((SELECT jsonb_agg(jsonb_build_object(
           'id', s.id, 'name', s.name, 'description', s.description, 'organization_id', s.organization_id,
           'organization_name', s.organization_name, 'organization_type', s.organization_type, 'enrolled', s.enrolled,
           'status', s.status, 'starts_on', s.starts_on, 'ends_on', s.ends_on, 'access_until', s.access_until, 'gives_access', s.gives_access,
           'data_sources', coalesce((SELECT jsonb_agg(jsonb_build_object('id', d.id, 'name', d.name, 'type', d.type,
               'supportedScopes', coalesce((SELECT jsonb_agg(jsonb_build_object('id', x.id, 'codingSystem', x.system, 'codingCode', x.code, 'text', x.text) ORDER BY x.id)
                                              FROM data_source_scope y JOIN scope x ON x.id = y.scope_id WHERE y.data_source_id = d.id), '[]')) ORDER BY d.id)
               FROM study_data_source z JOIN data_source d ON d.id = z.data_source_id WHERE z.study_id = s.id AND d.deleted_at IS NULL), '[]'),
           'scopes', coalesce((SELECT jsonb_agg(jsonb_build_object(
               'scope', jsonb_build_object('id', x.id, 'codingSystem', x.system, 'codingCode', x.code, 'text', x.text),
               'decision', l.decision, 'actions', l.actions, 'decided_at', l.decided_at) ORDER BY x.id)
               FROM scope x
               LEFT JOIN latest l ON l.study_id = s.id AND l.scope_id = x.id AND NOT l.asked_anew
              WHERE l.decision = 'granted'
                 OR s.enrolled
                    AND (l.scope_id IS NOT NULL
                         OR EXISTS (SELECT FROM study_scope_request r WHERE r.study_id = s.id AND r.scope_id = x.id))), '[]')) ORDER BY s.id)
         FROM shown s), '[]') AS studies
  FROM (SELECT o.refused_by,
               audit_record($4, CASE WHEN o.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, o.refused_by,
                            ARRAY(SELECT DISTINCT organization_id FROM shown), ARRAY(SELECT id FROM shown),
                            ARRAY(SELECT id FROM patient WHERE id = $5), '{{}}',
                            (SELECT max(m.role) FROM organization_member m
                              WHERE m.practitioner_id = $1 AND m.organization_id IN (SELECT organization_id FROM shown))) AS event_id
          FROM outcome o) a
  LEFT JOIN who p ON true"
    )
});

/// 1 to 3 the reader, 4 audit context, 5 patient, 6 before, 7 count, 8 instant up to which (none: now), 9 skip, 10 how far to count.
static HISTORY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH who AS MATERIALIZED (
  SELECT p.id FROM patient p WHERE p.id = $5 AND {VISIBLE}
), {OUTCOME}, ledger AS MATERIALIZED (
  SELECT c.*, s.name AS study_name, s.organization_id
    FROM who JOIN consent_event c ON c.patient_id = who.id JOIN study s ON s.id = c.study_id
   WHERE ($8::timestamptz IS NULL OR c.decided_at <= $8)
     AND ($3 OR who.id = $2
          OR EXISTS (SELECT FROM organization_member m WHERE m.organization_id = s.organization_id AND m.practitioner_id = $1))
), page AS MATERIALIZED (
  SELECT * FROM ledger WHERE id < $6 ORDER BY id DESC LIMIT $7 + $9 + 1
), shown AS MATERIALIZED (
  SELECT * FROM page ORDER BY id DESC LIMIT $7 OFFSET $9
)
SELECT a.event_id, a.refused_by, (SELECT count(*) FROM (SELECT FROM ledger LIMIT $10) c) AS total, (SELECT count(*) FROM page) > $7 + $9 AS more,
       c.id, c.decided_at, c.study_id, c.study_name, c.decision, c.actions, c.authorization_reference,
       c.decided_by, concat_ws(' ', nullif(u.first_name, ''), nullif(u.last_name, '')) AS decided_by_name,
       x.id AS scope_id, x.system, x.code, x.text
  FROM (SELECT o.refused_by,
               audit_record($4, CASE WHEN o.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, o.refused_by,
                            ARRAY(SELECT DISTINCT organization_id FROM shown), ARRAY(SELECT DISTINCT study_id FROM shown),
                            ARRAY(SELECT id FROM patient WHERE id = $5), '{{}}',
                            (SELECT max(m.role) FROM organization_member m
                              WHERE m.practitioner_id = $1 AND m.organization_id IN (SELECT organization_id FROM shown))) AS event_id
          FROM outcome o) a
  LEFT JOIN (shown c JOIN scope x ON x.id = c.scope_id JOIN app_user u ON u.id = c.decided_by) ON true
 ORDER BY c.id DESC"
    )
});

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
        let row =
            client.query_one(&statement, &[&practitioner, &own, &privileged, &Json(context), &patient.0, &at]).await?;
        if let Some(refused) = row.try_get::<_, Option<&str>>("refused_by")? {
            return Ok(Err(RefusedBy::from_name(refused).ok_or(StoreError::Corrupt("refused_by"))?));
        }
        Ok(Ok(ConsentState {
            patient: record(&row)?.ok_or(StoreError::Corrupt("record"))?,
            studies: row.try_get::<_, Json<Vec<StudyConsents>>>("studies")?.0,
        }))
    }

    /// A page of the patient's ledger, newest first, now or as it was at an instant, with the audit record, in one
    /// statement.
    pub async fn consent_history(
        &self,
        context: &Context,
        reader: Reader,
        patient: PatientId,
        at: Option<Timestamp>,
        slice: Slice,
    ) -> Result<Result<ConsentHistory, RefusedBy>, StoreError> {
        let (practitioner, own, privileged) = reader.parts();
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &HISTORY,
                &[
                    Type::INT4,
                    Type::INT4,
                    Type::BOOL,
                    Type::JSONB,
                    Type::INT4,
                    Type::INT8,
                    Type::INT8,
                    Type::TIMESTAMPTZ,
                    Type::INT8,
                    Type::INT8,
                ],
            )
            .await?;
        let rows = client
            .query(
                &statement,
                &[
                    &practitioner,
                    &own,
                    &privileged,
                    &Json(context),
                    &patient.0,
                    &slice.before(),
                    &slice.count,
                    &at,
                    &slice.skip,
                    &COUNTED,
                ],
            )
            .await?;
        let mut history = ConsentHistory::default();
        for row in &rows {
            if let Some(refused) = row.try_get::<_, Option<&str>>("refused_by")? {
                return Ok(Err(RefusedBy::from_name(refused).ok_or(StoreError::Corrupt("refused_by"))?));
            }
            history.total = row.try_get("total")?;
            history.more = row.try_get("more")?;
            history.rows.extend(event(row)?);
        }
        Ok(Ok(history))
    }
}

/// The event of a row that may hold none.
fn event(row: &Row) -> Result<Option<ConsentEvent>, StoreError> {
    let Some(id) = row.try_get("id")? else {
        return Ok(None);
    };
    Ok(Some(ConsentEvent {
        id,
        decided_at: row.try_get("decided_at")?,
        study: Named { id: row.try_get("study_id")?, name: row.try_get("study_name")? },
        scope: Scope {
            id: row.try_get("scope_id")?,
            coding_system: row.try_get("system")?,
            coding_code: row.try_get("code")?,
            text: row.try_get("text")?,
        },
        decision: ConsentDecision::from_name(row.try_get("decision")?)?,
        actions: row.try_get("actions")?,
        decided_by: Named { id: row.try_get("decided_by")?, name: row.try_get("decided_by_name")? },
        authorization_reference: row.try_get("authorization_reference")?,
    }))
}
