//! Creating many patients: a batch is one statement, and each of its rows has its own fate.

use super::{IN_TURN, NewPatient};
use crate::{Store, StoreError};
use audit::Context;
use authz::{OrganizationId, UserId};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// How far an import got.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PatientImport {
    /// Its id.
    pub id: i32,
    /// The organization of the new patients.
    pub organization_id: i32,
    /// The account that sent it.
    pub started_by: i32,
    /// When it began.
    pub started_at: Timestamp,
    /// When the last batch was stored.
    pub last_updated: Timestamp,
    /// When the last row was done; none while it runs, and when it was broken off.
    pub finished_at: Option<Timestamp>,
    /// Rows that were done.
    pub rows_read: i32,
    /// Patients that were created.
    pub rows_created: i32,
    /// Rows that were refused.
    pub rows_refused: i32,
}

/// What came of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The new patient.
    Created(i32),
    /// An account has the e-mail: that of a patient of the organization with this id, or of somebody else.
    EmailTaken(Option<i32>),
    /// A patient of the organization has the identifier at this position.
    IdentifierTaken(usize),
}

/// 1 audit context, 2 organization, 3 to 7 e-mail, given, family, birth date, telephone of each row, 8 to 10 row, system and
/// value of each identifier, 11 import, 12 rows that were refused before they got here. No two rows have an e-mail or an
/// identifier in common. Each patient has an audit event of their own, as if created alone; the refused have one together.
const IMPORT: &str = "
WITH input AS MATERIALIZED (
  SELECT * FROM unnest($3::text[], $4::text[], $5::text[], $6::date[], $7::text[])
    WITH ORDINALITY AS i(email, given, family, birth_date, phone, n)
), identifier AS MATERIALIZED (
  SELECT * FROM unnest($8::bigint[], $9::text[], $10::text[]) WITH ORDINALITY AS i(n, system, value, place)
), taken AS MATERIALIZED (
  SELECT i.n, min(i.place - f.place) AS position
    FROM identifier i
    JOIN (SELECT n, min(place) AS place FROM identifier GROUP BY n) f ON f.n = i.n
    JOIN patient_identifier x ON x.value = i.value AND x.system = i.system
    JOIN patient_organization o ON o.patient_id = x.patient_id AND o.organization_id = $2
   GROUP BY i.n
), account AS (
  INSERT INTO app_user (email, first_name, last_name, user_type)
  SELECT i.email, i.given, i.family, 'patient' FROM input i WHERE i.n NOT IN (SELECT n FROM taken) ORDER BY lower(i.email)
  ON CONFLICT (lower(email)) DO NOTHING
  RETURNING id, email
), created AS (
  INSERT INTO patient (user_id, name_given, name_family, birth_date, telecom_phone, telecom_email)
  SELECT a.id, i.given, i.family, i.birth_date, i.phone, i.email FROM account a JOIN input i ON i.email = a.email
  RETURNING *
), placed AS MATERIALIZED (
  SELECT i.n, c.id, to_jsonb(c) - 'user_id' AS record FROM created c JOIN input i ON i.email = c.telecom_email
), identified AS (
  INSERT INTO patient_identifier (patient_id, system, value)
  SELECT p.id, i.system, i.value FROM placed p JOIN identifier i ON i.n = p.n
), joined AS (
  INSERT INTO patient_organization (patient_id, organization_id) SELECT id, $2 FROM placed
), progress AS (
  UPDATE patient_import
     SET rows_read = rows_read + cardinality($3::text[]) + $12, rows_created = rows_created + (SELECT count(*) FROM placed)::int,
         rows_refused = rows_refused + $12 + cardinality($3::text[]) - (SELECT count(*) FROM placed)::int, last_updated = clock_timestamp()
   WHERE id = $11
), caller AS MATERIALIZED (
  SELECT m.role FROM organization_member m JOIN practitioner p ON p.id = m.practitioner_id
   WHERE m.organization_id = $2 AND p.user_id = ($1->>'actor_user_id')::int
), refused AS MATERIALIZED (
  SELECT CASE WHEN (SELECT count(*) FROM placed) < cardinality($3::text[]) + $12
              THEN audit_record($1, 'denied', 'invalid', ARRAY[$2], '{}', '{}', '{}', (SELECT role FROM caller)) END AS event_id
)
SELECT i.n, p.id, t.position, own.id AS own_id, r.event_id AS refused_event,
       CASE WHEN p.id IS NOT NULL
            THEN audit_record($1, 'allowed', NULL, ARRAY[$2], '{}', ARRAY[p.id], '{}', (SELECT role FROM caller), NULL,
                              p.record || jsonb_build_object('identifiers',
                                (SELECT coalesce(jsonb_agg(jsonb_build_array(k.system, k.value) ORDER BY k.system, k.value), '[]')
                                   FROM identifier k WHERE k.n = i.n))) END AS event_id
  FROM refused r
  LEFT JOIN (input i
             LEFT JOIN placed p ON p.n = i.n
             LEFT JOIN taken t ON t.n = i.n
             LEFT JOIN (app_user u JOIN patient own ON own.user_id = u.id
                        JOIN patient_organization o ON o.patient_id = own.id AND o.organization_id = $2)
                    ON p.id IS NULL AND lower(u.email) = lower(i.email)) ON true
 ORDER BY i.n";

const BEGIN: &str = "
INSERT INTO patient_import (organization_id, started_by)
SELECT id, $2 FROM organization WHERE id = $1 RETURNING id";

const FINISH: &str = "
UPDATE patient_import SET finished_at = CASE WHEN $2 THEN clock_timestamp() END, last_updated = clock_timestamp() WHERE id = $1
RETURNING *";

/// 1 audit context, 2 organization. One row at least, the record's: without it nothing is shown.
const LIST: &str = "
SELECT i.*, a.event_id
  FROM (SELECT audit_record($1, 'allowed', NULL, ARRAY(SELECT id FROM organization WHERE id = $2), '{}', '{}', '{}',
                            (SELECT m.role FROM organization_member m JOIN practitioner p ON p.id = m.practitioner_id
                              WHERE m.organization_id = $2 AND p.user_id = ($1->>'actor_user_id')::int)) AS event_id) a
  LEFT JOIN LATERAL (SELECT * FROM patient_import WHERE organization_id = $2 ORDER BY id DESC LIMIT 100) i ON true
 ORDER BY i.id DESC";

const TYPES: [Type; 12] = [
    Type::JSONB,
    Type::INT4,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::DATE_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT8_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT4,
    Type::INT4,
];

impl Store {
    /// Begins an import. None when there is no such organization.
    pub async fn begin_import(&self, organization: OrganizationId, by: UserId) -> Result<Option<i32>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(BEGIN, &[Type::INT4, Type::INT4]).await?;
        let row = client.query_opt(&statement, &[&organization.0, &by.0]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Creates the patients of a batch that can be created, with their audit records and the progress of the import, in one
    /// transaction. `refused` counts rows that were read and are not among `patients`.
    pub async fn import_patients(
        &self,
        context: &Context,
        organization: OrganizationId,
        import: i32,
        patients: &[NewPatient],
        refused: i32,
    ) -> Result<Vec<Imported>, StoreError> {
        let texts = |value: fn(&NewPatient) -> &str| -> Vec<&str> { patients.iter().map(value).collect() };
        let births: Vec<Date> = patients.iter().map(|patient| patient.birth_date).collect();
        let phones: Vec<Option<&str>> = patients.iter().map(|patient| patient.telecom_phone.as_deref()).collect();
        let (mut rows, mut systems, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (n, patient) in (1_i64..).zip(patients) {
            for (system, value) in &patient.identifiers {
                rows.push(n);
                systems.push(system);
                values.push(value);
            }
        }
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        if !rows.is_empty() {
            let turn = transaction.prepare_typed_cached(IN_TURN, &[Type::INT8]).await?;
            transaction.query_one(&turn, &[&i64::from(organization.0)]).await?;
        }
        let statement = transaction.prepare_typed_cached(IMPORT, &TYPES).await?;
        let found = transaction
            .query(
                &statement,
                &[
                    &Json(context),
                    &organization.0,
                    &texts(|patient| &patient.telecom_email),
                    &texts(|patient| &patient.name_given),
                    &texts(|patient| &patient.name_family),
                    &births,
                    &phones,
                    &rows,
                    &systems,
                    &values,
                    &import,
                    &refused,
                ],
            )
            .await?;
        transaction.commit().await?;
        if patients.is_empty() {
            return Ok(Vec::new());
        }
        found.iter().map(imported).collect()
    }

    /// Ends an import: all rows were done, or it was broken off. How far it got.
    pub async fn end_import(&self, import: i32, is_finished: bool) -> Result<PatientImport, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(FINISH, &[Type::INT4, Type::BOOL]).await?;
        progress(&client.query_one(&statement, &[&import, &is_finished]).await?)
    }

    /// The last imports into an organization, newest first, with the audit record, in one statement.
    pub async fn imports(
        &self,
        context: &Context,
        organization: OrganizationId,
    ) -> Result<Vec<PatientImport>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(LIST, &[Type::JSONB, Type::INT4]).await?;
        let rows = client.query(&statement, &[&Json(context), &organization.0]).await?;
        rows.iter().filter(|row| row.try_get("id").is_ok_and(|id: Option<i32>| id.is_some())).map(progress).collect()
    }
}

fn imported(row: &Row) -> Result<Imported, StoreError> {
    if let Some(id) = row.try_get("id")? {
        return Ok(Imported::Created(id));
    }
    match (row.try_get::<_, Option<i32>>("own_id")?, row.try_get::<_, Option<i64>>("position")?) {
        (own @ Some(_), _) | (own, None) => Ok(Imported::EmailTaken(own)),
        (None, Some(position)) => {
            Ok(Imported::IdentifierTaken(usize::try_from(position).map_err(|_| StoreError::Corrupt("position"))?))
        }
    }
}

fn progress(row: &Row) -> Result<PatientImport, StoreError> {
    Ok(PatientImport {
        id: row.try_get("id")?,
        organization_id: row.try_get("organization_id")?,
        started_by: row.try_get("started_by")?,
        started_at: row.try_get("started_at")?,
        last_updated: row.try_get("last_updated")?,
        finished_at: row.try_get("finished_at")?,
        rows_read: row.try_get("rows_read")?,
        rows_created: row.try_get("rows_created")?,
        rows_refused: row.try_get("rows_refused")?,
    })
}
