//! Patients: their records, and who may see them.

use crate::{Organization, Store, StoreError, observation::Reader};
use audit::{Context, RefusedBy};
use authz::OrganizationId;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use tokio_postgres::{
    Row,
    types::{Json, ToSql, Type},
};

/// A business identifier of a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifier {
    /// The row's id.
    pub id: i32,
    /// The namespace.
    pub system: String,
    /// The value in it.
    pub value: String,
}

/// A patient's record, as the caller sees it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Patient {
    /// From 40001.
    pub id: i32,
    /// The account.
    pub jhe_user_id: i32,
    /// Business identifiers.
    pub identifiers: Vec<Identifier>,
    /// Family name.
    pub name_family: String,
    /// Given name.
    pub name_given: String,
    /// Date of birth.
    pub birth_date: Date,
    /// Telephone.
    pub telecom_phone: Option<String>,
    /// E-mail.
    pub telecom_email: String,
    /// The patient's organizations that the caller may see.
    pub organizations: Vec<Organization>,
    /// When the record last changed.
    #[serde(skip)]
    pub last_updated: Timestamp,
}

/// Which patients are asked for. Everything that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct PatientFilter {
    /// Only these ids; empty: all.
    pub ids: Vec<i32>,
    /// Only patients of this organization.
    pub organization: Option<i32>,
    /// Only patients enrolled in this study.
    pub study: Option<i32>,
    /// Only the patient with this identifier: system (none: any) and value.
    pub identifier: Option<(Option<String>, String)>,
    /// The family or the given name begins so.
    pub name: Option<String>,
    /// The family name begins so.
    pub family: Option<String>,
    /// The given name begins so.
    pub given: Option<String>,
    /// Born on or after, and before.
    pub birth_date: (Option<Date>, Option<Date>),
    /// The e-mail is this one.
    pub email: Option<String>,
    /// Only ids after this one: the last of the page before.
    pub after: i32,
    /// How many.
    pub count: i64,
}

/// A page of patients.
#[derive(Clone, Debug, Default)]
pub struct PatientPage {
    /// The patients, by id.
    pub rows: Vec<Patient>,
    /// True when the next page is not empty.
    pub more: bool,
    /// How many there are in all, where that was asked for.
    pub total: Option<i64>,
}

/// A patient to create, with an account that has no password yet.
#[derive(Clone, Debug)]
pub struct NewPatient {
    /// Family name.
    pub name_family: String,
    /// Given name.
    pub name_given: String,
    /// Date of birth.
    pub birth_date: Date,
    /// Telephone.
    pub telecom_phone: Option<String>,
    /// E-mail, unique among accounts.
    pub telecom_email: String,
    /// System and value.
    pub identifiers: Vec<(String, String)>,
}

/// A patient's record as one JSON object; `p` is the patient, `$1` the practitioner, `$2` the patient who asks, `$3`
/// whether the reader is privileged. Only the organizations that the reader may see are listed.
pub(crate) const RECORD: &str = "
jsonb_build_object(
  'id', p.id, 'user_id', p.user_id, 'family', p.name_family, 'given', p.name_given, 'birth_date', p.birth_date,
  'phone', p.telecom_phone, 'email', p.telecom_email, 'last_updated', p.last_updated,
  'identifiers', coalesce((SELECT jsonb_agg(jsonb_build_object('id', i.id, 'system', i.system, 'value', i.value) ORDER BY i.id)
                             FROM patient_identifier i WHERE i.patient_id = p.id), '[]'),
  'organizations', coalesce((SELECT jsonb_agg(jsonb_build_object('id', o.id, 'name', o.name, 'type', o.type, 'partOf', o.part_of,
                                       'currentUserRole', CASE WHEN $3 THEN 'super_user' ELSE m.role::text END,
                                       'lastUpdated', o.last_updated) ORDER BY o.id)
                               FROM patient_organization po JOIN organization o ON o.id = po.organization_id
                               LEFT JOIN organization_member m ON m.organization_id = o.id AND m.practitioner_id = $1
                              WHERE po.patient_id = p.id AND ($3 OR m.role IS NOT NULL OR p.id = $2)), '[]'))";

/// The same fields, for reading the JSON of [`RECORD`].
#[derive(Deserialize)]
pub(crate) struct Record {
    id: i32,
    user_id: i32,
    family: String,
    given: String,
    birth_date: Date,
    phone: Option<String>,
    email: String,
    last_updated: Timestamp,
    identifiers: Vec<Identifier>,
    organizations: Vec<Organization>,
}

impl From<Record> for Patient {
    fn from(record: Record) -> Self {
        Self {
            id: record.id,
            jhe_user_id: record.user_id,
            identifiers: record.identifiers,
            name_family: record.family,
            name_given: record.given,
            birth_date: record.birth_date,
            telecom_phone: record.phone,
            telecom_email: record.email,
            organizations: record.organizations,
            last_updated: record.last_updated,
        }
    }
}

/// The rule, once: a practitioner sees the patients of their organizations, a patient themself, a super admin all.
pub(crate) const VISIBLE: &str = "
($3 OR p.id = $2
 OR EXISTS (SELECT FROM patient_organization o JOIN organization_member m ON m.organization_id = o.organization_id
             WHERE o.patient_id = p.id AND m.practitioner_id = $1))";

/// 1 to 3 the reader, 4 audit context, 5 ids, 6 organization, 7 study, 8 and 9 identifier, 10 name, 11 family, 12 given,
/// 13 and 14 birth date, 15 e-mail, 16 after, 17 count, 18 whether to count all.
fn page_statement() -> String {
    format!(
        "
WITH verdict AS MATERIALIZED (
  SELECT CASE WHEN NOT $3
      AND (($6::int IS NOT NULL
            AND NOT EXISTS (SELECT FROM organization_member m WHERE m.organization_id = $6 AND m.practitioner_id = $1)
            AND NOT EXISTS (SELECT FROM patient_organization o WHERE o.organization_id = $6 AND o.patient_id = $2))
           OR ($7::int IS NOT NULL
               AND NOT EXISTS (SELECT FROM study s JOIN organization_member m ON m.organization_id = s.organization_id
                                WHERE s.id = $7 AND m.practitioner_id = $1)
               AND NOT EXISTS (SELECT FROM study_patient e WHERE e.study_id = $7 AND e.patient_id = $2)))
    THEN 'organization' END AS refused_by
), matching AS NOT MATERIALIZED (
  SELECT p.id FROM patient p JOIN verdict v ON v.refused_by IS NULL
   WHERE {VISIBLE}
     AND (cardinality($5::int[]) = 0 OR p.id = ANY ($5))
     AND ($6::int IS NULL OR EXISTS (SELECT FROM patient_organization o WHERE o.patient_id = p.id AND o.organization_id = $6))
     AND ($7::int IS NULL OR EXISTS (SELECT FROM study_patient e WHERE e.patient_id = p.id AND e.study_id = $7))
     AND ($9::text IS NULL OR EXISTS (SELECT FROM patient_identifier i
                                       WHERE i.patient_id = p.id AND i.value = $9 AND ($8::text IS NULL OR i.system = $8)))
     AND ($10::text IS NULL OR starts_with(lower(p.name_family), lower($10)) OR starts_with(lower(p.name_given), lower($10)))
     AND ($11::text IS NULL OR starts_with(lower(p.name_family), lower($11)))
     AND ($12::text IS NULL OR starts_with(lower(p.name_given), lower($12)))
     AND ($13::date IS NULL OR p.birth_date >= $13)
     AND ($14::date IS NULL OR p.birth_date < $14)
     AND ($15::text IS NULL OR lower(p.telecom_email) = lower($15))
), page AS MATERIALIZED (
  SELECT id FROM matching WHERE id > $16 ORDER BY id LIMIT $17 + 1
), shown AS MATERIALIZED (
  SELECT id FROM page ORDER BY id LIMIT $17
), outcome AS MATERIALIZED (
  SELECT coalesce(v.refused_by,
                  CASE WHEN cardinality($5::int[]) > 0 AND NOT EXISTS (SELECT FROM shown)
                       THEN CASE WHEN EXISTS (SELECT FROM patient WHERE id = ANY ($5)) THEN 'organization' ELSE 'not_found' END
                  END) AS refused_by
    FROM verdict v
)
SELECT a.event_id, a.refused_by, (SELECT count(*) FROM page) > $17 AS more,
       CASE WHEN $18 THEN (SELECT count(*) FROM matching) END AS total,
       CASE WHEN p.id IS NOT NULL THEN {RECORD} END AS record
  FROM (SELECT o.refused_by,
               audit_record($4, CASE WHEN o.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, o.refused_by,
                            array_remove(ARRAY[$6::int], NULL), array_remove(ARRAY[$7::int], NULL),
                            ARRAY(SELECT id FROM shown UNION SELECT id FROM patient WHERE id = ANY ($5)), '{{}}') AS event_id
          FROM outcome o) a
  LEFT JOIN (shown s JOIN patient p ON p.id = s.id) ON true
 ORDER BY p.id"
    )
}

static PAGE: std::sync::LazyLock<String> = std::sync::LazyLock::new(page_statement);

impl Store {
    /// A page of patients and its audit record, in one statement. `Ok(Err(reason))`: the filter names an organization
    /// or a study outside the reader's, or ids of which none is visible.
    pub async fn patients(
        &self,
        context: &Context,
        reader: Reader,
        filter: &PatientFilter,
        with_total: bool,
    ) -> Result<Result<PatientPage, RefusedBy>, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let (system, value) = filter
            .identifier
            .as_ref()
            .map_or((None, None), |(system, value)| (system.as_deref(), Some(value.as_str())));
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &PAGE,
                &[
                    Type::INT4, Type::INT4, Type::BOOL, Type::JSONB, Type::INT4_ARRAY, Type::INT4, Type::INT4,
                    Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::DATE, Type::DATE, Type::TEXT,
                    Type::INT4, Type::INT8, Type::BOOL,
                ],
            )
            .await?;
        let parameters: [&(dyn ToSql + Sync); 18] = [
            &practitioner, &patient, &privileged, &Json(context), &filter.ids, &filter.organization, &filter.study,
            &system, &value, &filter.name, &filter.family, &filter.given, &filter.birth_date.0, &filter.birth_date.1,
            &filter.email, &filter.after, &filter.count, &with_total,
        ];
        let rows = client.query(&statement, &parameters).await?;
        let mut page = PatientPage::default();
        for row in &rows {
            if let Some(refused) = row.try_get::<_, Option<&str>>("refused_by")? {
                return Ok(Err(RefusedBy::from_name(refused).ok_or(StoreError::Corrupt("refused_by"))?));
            }
            page.more = row.try_get("more")?;
            page.total = row.try_get("total")?;
            page.rows.extend(record(row)?);
        }
        Ok(Ok(page))
    }

    /// Creates a patient of an organization, with an account, and the audit record, in one transaction.
    pub async fn create_patient(
        &self,
        context: &Context,
        organization: OrganizationId,
        patient: &NewPatient,
    ) -> Result<i32, StoreError> {
        let systems: Vec<&str> = patient.identifiers.iter().map(|(system, _)| system.as_str()).collect();
        let values: Vec<&str> = patient.identifiers.iter().map(|(_, value)| value.as_str()).collect();
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                "WITH account AS (
                   INSERT INTO app_user (email, first_name, last_name, user_type)
                   VALUES ($2, $3, $4, 'patient') RETURNING id
                 ), created AS (
                   INSERT INTO patient (user_id, name_given, name_family, birth_date, telecom_phone, telecom_email)
                   SELECT id, $3, $4, $5, $6, $2 FROM account RETURNING id
                 ), identified AS (
                   INSERT INTO patient_identifier (patient_id, system, value)
                   SELECT DISTINCT created.id, i.system, i.value FROM created CROSS JOIN unnest($7::text[], $8::text[]) AS i(system, value)
                 ), joined AS (
                   INSERT INTO patient_organization (patient_id, organization_id) SELECT id, $9 FROM created
                 )
                 SELECT id, audit_record($1, 'allowed', NULL, ARRAY[$9], '{}', ARRAY[id], '{}') FROM created",
                &[
                    Type::JSONB, Type::TEXT, Type::TEXT, Type::TEXT, Type::DATE, Type::TEXT, Type::TEXT_ARRAY,
                    Type::TEXT_ARRAY, Type::INT4,
                ],
            )
            .await?;
        let row = client
            .query_one(
                &statement,
                &[
                    &Json(context), &patient.telecom_email, &patient.name_given, &patient.name_family,
                    &patient.birth_date, &patient.telecom_phone, &systems, &values, &organization.0,
                ],
            )
            .await?;
        Ok(row.try_get(0)?)
    }
}

/// The patient of a row that may hold none.
pub(crate) fn record(row: &Row) -> Result<Option<Patient>, StoreError> {
    Ok(row.try_get::<_, Option<Json<Record>>>("record")?.map(|json| json.0.into()))
}
