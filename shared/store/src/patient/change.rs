//! Changing a patient's record, and taking a patient out of an organization.

use crate::{Changed, Expected, Store, StoreError};
use audit::Context;
use authz::{OrganizationId, PatientId};
use jiff::civil::Date;
use tokio_postgres::types::{Json, ToSql, Type};

/// What is to change in a patient's record; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct PatientChange {
    /// Family name.
    pub name_family: Option<String>,
    /// Given name.
    pub name_given: Option<String>,
    /// Date of birth.
    pub birth_date: Option<Date>,
    /// Telephone: none when it is taken away.
    pub telecom_phone: Option<Option<String>>,
    /// E-mail, of the record and of the account.
    pub telecom_email: Option<String>,
    /// System and value: all identifiers that the patient is to have.
    pub identifiers: Option<Vec<(String, String)>>,
}

/// What came of changing a patient that is there and is the expected version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatientChanged {
    /// It was changed.
    Done,
    /// Nothing was changed: the account is in use, so its e-mail is its owner's.
    EmailInUse,
    /// Nothing was changed: another patient of one of the patient's organizations has the identifier at this position.
    IdentifierTaken(usize),
}

/// The organizations of the patient, one after the other, get their identifiers in turn.
const IN_TURN: &str = "
SELECT pg_advisory_xact_lock(hashtextextended('patient identifiers', o.organization_id))
  FROM (SELECT organization_id FROM patient_organization WHERE patient_id = $1 ORDER BY organization_id) o";

/// 1 audit context, 2 patient, 3 expected versions, 4 family, 5 given, 6 birth date, 7 whether the telephone changes, 8
/// telephone, 9 e-mail, 10 whether the identifiers change, 11 and 12 their systems and values, 13 practitioner.
const CHANGE: &str = "
WITH was AS MATERIALIZED (
  SELECT p.* FROM patient p WHERE p.id = $2 FOR NO KEY UPDATE
), taken AS MATERIALIZED (
  SELECT min(i.n) AS n
    FROM unnest($11::text[], $12::text[]) WITH ORDINALITY AS i(system, value, n)
    JOIN patient_identifier x ON x.value = i.value AND x.system = i.system AND x.patient_id <> $2
    JOIN patient_organization theirs ON theirs.patient_id = x.patient_id
    JOIN patient_organization own ON own.organization_id = theirs.organization_id AND own.patient_id = $2
   WHERE $10
     AND NOT EXISTS (SELECT FROM patient_identifier k WHERE k.patient_id = $2 AND k.system = i.system AND k.value = i.value)
), verdict AS MATERIALIZED (
  SELECT w.id, t.n,
         CASE WHEN $3::timestamptz[] IS NOT NULL AND w.last_updated <> ALL ($3) THEN 'stale'
              WHEN t.n IS NOT NULL THEN 'taken'
              ELSE correct_patient_account(w.id, $9, $5, $4) END AS outcome
    FROM was w CROSS JOIN taken t
), now AS MATERIALIZED (
  SELECT w.id, coalesce($4, w.name_family) AS name_family, coalesce($5, w.name_given) AS name_given,
         coalesce($6, w.birth_date) AS birth_date, CASE WHEN $7 THEN $8 ELSE w.telecom_phone END AS telecom_phone,
         coalesce($9, w.telecom_email) AS telecom_email
    FROM was w JOIN verdict v ON v.outcome = 'done'
), changed AS (
  UPDATE patient p
     SET name_family = n.name_family, name_given = n.name_given, birth_date = n.birth_date, telecom_phone = n.telecom_phone,
         telecom_email = n.telecom_email, last_updated = clock_timestamp()
    FROM now n WHERE p.id = n.id
), removed AS (
  DELETE FROM patient_identifier i USING now n
   WHERE $10 AND i.patient_id = n.id
     AND NOT EXISTS (SELECT FROM unnest($11::text[], $12::text[]) AS k(system, value) WHERE k.system = i.system AND k.value = i.value)
), added AS (
  INSERT INTO patient_identifier (patient_id, system, value)
  SELECT n.id, k.system, k.value FROM now n CROSS JOIN unnest($11::text[], $12::text[]) AS k(system, value) WHERE $10
  ON CONFLICT (patient_id, system, value) DO NOTHING
), known AS MATERIALIZED (
  SELECT coalesce(jsonb_agg(jsonb_build_array(i.system, i.value) ORDER BY i.system, i.value), '[]') AS identifiers
    FROM patient_identifier i WHERE i.patient_id = $2
), through AS MATERIALIZED (
  SELECT m.organization_id, m.role FROM patient_organization o
    JOIN organization_member m ON m.organization_id = o.organization_id AND m.practitioner_id = $13
   WHERE o.patient_id = $2 AND m.role >= 'member'
)
SELECT v.outcome, v.n,
       audit_record($1, CASE v.outcome WHEN 'done' THEN 'allowed' ELSE 'denied' END, CASE WHEN v.outcome <> 'done' THEN 'invalid' END,
                    ARRAY(SELECT organization_id FROM through ORDER BY 1), '{}', ARRAY[v.id], '{}', (SELECT max(role) FROM through),
                    CASE WHEN later.id IS NOT NULL THEN (to_jsonb(w) - 'user_id') || jsonb_build_object('identifiers', k.identifiers) END,
                    CASE WHEN later.id IS NOT NULL THEN (to_jsonb(w) - 'user_id') || to_jsonb(later) || jsonb_build_object('identifiers',
                      CASE WHEN $10 THEN (SELECT coalesce(jsonb_agg(jsonb_build_array(i.system, i.value) ORDER BY i.system, i.value), '[]')
                                            FROM unnest($11::text[], $12::text[]) AS i(system, value))
                           ELSE k.identifiers END) END) AS event_id
  FROM verdict v JOIN was w ON w.id = v.id CROSS JOIN known k LEFT JOIN now later ON true";

/// 1 audit context, 2 patient, 3 organization, 4 expected versions of the record. The key of the enrolments ends them with the
/// membership. What only this organization invited to, and nobody has redeemed, ends too: its members could not cancel it any more.
const LEAVE: &str = "
WITH was AS MATERIALIZED (
  SELECT p.id, $4::timestamptz[] IS NULL OR p.last_updated = ANY ($4) AS expected
    FROM patient p JOIN patient_organization o ON o.patient_id = p.id AND o.organization_id = $3
   WHERE p.id = $2 FOR NO KEY UPDATE OF p
), ended AS MATERIALIZED (
  SELECT e.study_id FROM study_patient e WHERE e.patient_id = $2 AND e.organization_id = $3
), gone AS (
  DELETE FROM patient_organization o USING was w WHERE w.expected AND o.patient_id = w.id AND o.organization_id = $3 RETURNING o.patient_id
), changed AS (
  UPDATE patient p SET last_updated = clock_timestamp() FROM gone g WHERE p.id = g.patient_id
), cancelled AS (
  UPDATE invitation i SET status = 'cancelled', last_updated = clock_timestamp()
    FROM gone g
   WHERE i.patient_id = g.patient_id
     AND (i.status = 'issued' OR i.status = 'redeemed' AND NOT i.emailed AND i.expires_at > clock_timestamp())
     AND EXISTS (SELECT FROM invitation_organization x WHERE x.invitation_id = i.id AND x.organization_id = $3)
     AND NOT EXISTS (SELECT FROM invitation_organization x
                       JOIN patient_organization o ON o.organization_id = x.organization_id AND o.patient_id = i.patient_id
                      WHERE x.invitation_id = i.id AND x.organization_id <> $3)
  RETURNING i.id
)
SELECT w.expected, CASE WHEN g.patient_id IS NOT NULL THEN
       audit_record($1, 'allowed', NULL, ARRAY[$3], ARRAY(SELECT study_id FROM ended ORDER BY 1), ARRAY[g.patient_id], '{}',
                    (SELECT m.role FROM organization_member m JOIN practitioner p ON p.id = m.practitioner_id
                      WHERE m.organization_id = $3 AND p.user_id = ($1->>'actor_user_id')::int),
                    jsonb_build_object('organization', $3, 'studies', ARRAY(SELECT study_id FROM ended ORDER BY 1),
                                       'invitations', ARRAY(SELECT id FROM cancelled ORDER BY 1))) END AS event_id
  FROM was w LEFT JOIN gone g ON true";

impl Store {
    /// Changes a patient's record, and the names and the e-mail of the account with it, with the audit record, in one
    /// transaction.
    pub async fn change_patient(
        &self,
        context: &Context,
        practitioner: Option<authz::PractitionerId>,
        id: PatientId,
        expected: &Expected,
        change: &PatientChange,
    ) -> Result<Changed<PatientChanged>, StoreError> {
        let identifiers = change.identifiers.as_deref().unwrap_or_default();
        let systems: Vec<&str> = identifiers.iter().map(|(system, _)| system.as_str()).collect();
        let values: Vec<&str> = identifiers.iter().map(|(_, value)| value.as_str()).collect();
        let phone = change.telecom_phone.as_ref().and_then(Option::as_deref);
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        if change.identifiers.is_some() {
            let turn = transaction.prepare_typed_cached(IN_TURN, &[Type::INT4]).await?;
            transaction.query(&turn, &[&id.0]).await?;
        }
        let statement = transaction.prepare_typed_cached(CHANGE, &TYPES).await?;
        let row = transaction
            .query_opt(
                &statement,
                &[
                    &Json(context),
                    &id.0,
                    &expected.times(),
                    &change.name_family,
                    &change.name_given,
                    &change.birth_date,
                    &change.telecom_phone.is_some(),
                    &phone,
                    &change.telecom_email,
                    &change.identifiers.is_some(),
                    &systems,
                    &values,
                    &practitioner.map(|id| id.0),
                ],
            )
            .await?;
        transaction.commit().await?;
        let Some(row) = row else { return Ok(Changed::Missing) };
        Ok(match row.try_get::<_, &str>("outcome")? {
            "done" => Changed::Done(PatientChanged::Done),
            "stale" => Changed::Stale,
            "used" => Changed::Done(PatientChanged::EmailInUse),
            "taken" => {
                let position = row.try_get::<_, i64>("n")? - 1;
                let position = usize::try_from(position).map_err(|_| StoreError::Corrupt("n"))?;
                Changed::Done(PatientChanged::IdentifierTaken(position))
            }
            _ => return Err(StoreError::Corrupt("outcome")),
        })
    }

    /// Takes a patient out of an organization, which ends the enrolments in its studies, with the audit record, in one
    /// statement. [`Changed::Missing`]: the patient is not of the organization. The record and the data stay.
    pub async fn remove_from_organization(
        &self,
        context: &Context,
        patient: PatientId,
        organization: OrganizationId,
        expected: &Expected,
    ) -> Result<Changed, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::INT4, Type::TIMESTAMPTZ_ARRAY];
        let statement = client.prepare_typed_cached(LEAVE, &types).await?;
        let values: [&(dyn ToSql + Sync); 4] = [&Json(context), &patient.0, &organization.0, &expected.times()];
        let Some(row) = client.query_opt(&statement, &values).await? else { return Ok(Changed::Missing) };
        Ok(match (row.try_get("expected")?, row.try_get::<_, Option<i64>>("event_id")?) {
            (false, _) => Changed::Stale,
            (true, Some(_)) => Changed::Done(()),
            (true, None) => Changed::Missing,
        })
    }
}

const TYPES: [Type; 13] = [
    Type::JSONB,
    Type::INT4,
    Type::TIMESTAMPTZ_ARRAY,
    Type::TEXT,
    Type::TEXT,
    Type::DATE,
    Type::BOOL,
    Type::TEXT,
    Type::TEXT,
    Type::BOOL,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT4,
];
