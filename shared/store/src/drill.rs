//! What a restored database is tried by.

use crate::{CodeFilter, DatabaseConfig, LoginError, StoreError, migrate::connect_owner};
use authz::{PatientId, PractitionerId};
use tokio_postgres::Client;

/// Who may find what, by the ledger and not by what is derived from it: so that what is derived is tried too. Those who find
/// are of a study that gives access; those who do not have the patient in their organization, and no study of theirs may see
/// the scope; or they are strangers, in no organization of the patient's.
const CASES: &str = "
WITH latest AS (
  SELECT DISTINCT ON (patient_id, study_id, scope_id) patient_id, study_id, scope_id, decision, actions, decided_at
    FROM consent_event ORDER BY patient_id, study_id, scope_id, id DESC
), permitted AS (
  SELECT DISTINCT m.practitioner_id, l.patient_id, l.scope_id
    FROM latest l
    JOIN study s ON s.id = l.study_id AND s.access_until > now()
    JOIN study_patient e ON e.study_id = l.study_id AND e.patient_id = l.patient_id AND e.enrolled_at <= l.decided_at
    JOIN study_scope_request r ON r.study_id = l.study_id AND r.scope_id = l.scope_id AND r.requested_at <= l.decided_at
    JOIN organization_member m ON m.organization_id = s.organization_id
   WHERE l.decision = 'granted' AND l.actions LIKE '%s%'
), known AS (
  SELECT DISTINCT m.practitioner_id, l.patient_id, l.scope_id
    FROM latest l
    JOIN patient_organization o ON o.patient_id = l.patient_id
    JOIN organization_member m ON m.organization_id = o.organization_id
), strange AS (
  SELECT p.id AS practitioner_id, l.patient_id, l.scope_id
    FROM (SELECT DISTINCT patient_id, scope_id FROM latest d
           WHERE EXISTS (SELECT FROM observation b WHERE b.patient_id = d.patient_id AND b.scope_id = d.scope_id) LIMIT $1) l
   CROSS JOIN practitioner p
   WHERE NOT EXISTS (SELECT FROM patient_organization o JOIN organization_member m ON m.organization_id = o.organization_id
                      WHERE o.patient_id = l.patient_id AND m.practitioner_id = p.id)
), cases AS (
  (SELECT practitioner_id, patient_id, scope_id, true AS is_consented, false AS is_stranger FROM permitted p
    WHERE EXISTS (SELECT FROM observation b WHERE b.patient_id = p.patient_id AND b.scope_id = p.scope_id) LIMIT $1)
  UNION ALL
  (SELECT practitioner_id, patient_id, scope_id, false, false FROM known k
    WHERE EXISTS (SELECT FROM observation b WHERE b.patient_id = k.patient_id AND b.scope_id = k.scope_id)
      AND NOT EXISTS (SELECT FROM permitted p WHERE p.practitioner_id = k.practitioner_id AND p.patient_id = k.patient_id
                                                AND p.scope_id = k.scope_id) LIMIT $1)
  UNION ALL
  (SELECT practitioner_id, patient_id, scope_id, false, true FROM strange t
    WHERE NOT EXISTS (SELECT FROM permitted p WHERE p.practitioner_id = t.practitioner_id AND p.patient_id = t.patient_id
                                            AND p.scope_id = t.scope_id) LIMIT $1)
)
SELECT c.practitioner_id, c.patient_id, c.scope_id, s.system, s.code, c.is_consented, c.is_stranger FROM cases c JOIN scope s ON s.id = c.scope_id";

/// A practitioner, a patient and a scope of which there is data.
#[derive(Clone, Debug)]
pub struct AccessCase {
    /// The practitioner.
    pub practitioner: PractitionerId,
    /// The patient.
    pub patient: PatientId,
    /// The scope.
    pub scope: i32,
    /// The same as a search names it.
    pub code: CodeFilter,
    /// Whether the practitioner may find it.
    pub is_consented: bool,
    /// Whether no organization of theirs is one of the patient's.
    pub is_stranger: bool,
}

/// Up to so many who may find something, as many of the patient's organizations who may not, and as many strangers.
pub async fn access_cases(owner: &DatabaseConfig, each: i64) -> Result<Vec<AccessCase>, LoginError> {
    let rows = connect_owner(owner).await?.query(CASES, &[&each]).await.map_err(StoreError::from)?;
    let cases = rows.iter().map(|row| {
        Ok(AccessCase {
            practitioner: PractitionerId(row.try_get(0)?),
            patient: PatientId(row.try_get(1)?),
            scope: row.try_get(2)?,
            code: CodeFilter { system: Some(row.try_get(3)?), code: Some(row.try_get(4)?) },
            is_consented: row.try_get(5)?,
            is_stranger: row.try_get(6)?,
        })
    });
    Ok(cases.collect::<Result<_, tokio_postgres::Error>>().map_err(StoreError::from)?)
}

/// The turn for what only one may do at a time. It ends with the connection at the latest.
pub struct Turn(Client);

impl Turn {
    /// Lets others have it.
    pub async fn end(self) -> Result<(), LoginError> {
        self.0.execute("SELECT pg_advisory_unlock_all()", &[]).await.map_err(StoreError::from)?;
        Ok(())
    }
}

/// Takes the turn. None: somebody else has it.
pub async fn take_turn(owner: &DatabaseConfig, name: &str) -> Result<Option<Turn>, LoginError> {
    const TAKE: &str = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))";
    let client = connect_owner(owner).await?;
    let row = client.query_one(TAKE, &[&name]).await.map_err(StoreError::from)?;
    let is_ours: bool = row.try_get(0).map_err(StoreError::from)?;
    Ok(is_ours.then_some(Turn(client)))
}
