//! Patients: their records, and who may see them.

mod apps;
mod change;
mod import;
mod membership;
mod search;

pub use apps::{ClientInvitation, PatientClient};
pub use change::{PatientChange, PatientChanged};
pub use import::{Imported, PatientImport};
pub use membership::{Asking, AskingOrganization, Decision, OrganizationRequest};
pub use search::{PatientFilter, PatientPage, TextFilter};

use crate::{Organization, Store, StoreError, observation::Reader};
use audit::Context;
use authz::OrganizationId;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;
use tokio_postgres::{
    Row,
    types::{Json, Type},
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

/// What is of the patient `p` alone.
macro_rules! person {
    () => {
        "
  'id', p.id, 'user_id', p.user_id, 'family', p.name_family, 'given', p.name_given, 'birth_date', p.birth_date,
  'phone', p.telecom_phone, 'email', p.telecom_email, 'last_updated', p.last_updated,
  'identifiers', coalesce((SELECT jsonb_agg(jsonb_build_object('id', i.id, 'system', i.system, 'value', i.value) ORDER BY i.id)
                             FROM patient_identifier i WHERE i.patient_id = p.id), '[]')"
    };
}

/// A patient's record as one JSON object without organizations; `p` is the patient. FHIR's resource is made of it.
pub(crate) const PERSON: &str = concat!("jsonb_build_object(", person!(), ", 'organizations', '[]'::jsonb)");

/// A patient's record as one JSON object; `p` is the patient, `$1` the practitioner, `$2` the patient who asks, `$3`
/// whether the reader is privileged. Only the organizations that the reader may see are listed.
pub(crate) const RECORD: &str = concat!(
    "
jsonb_build_object(",
    person!(),
    ",
  'organizations', coalesce((SELECT jsonb_agg(jsonb_build_object('id', o.id, 'name', o.name, 'type', o.type, 'partOf', o.part_of,
                                       'currentUserRole', CASE WHEN $3 THEN 'super_user' ELSE m.role::text END,
                                       'lastUpdated', o.last_updated) ORDER BY o.id)
                               FROM patient_organization po JOIN organization o ON o.id = po.organization_id
                               LEFT JOIN organization_member m ON m.organization_id = o.id AND m.practitioner_id = $1
                              WHERE po.patient_id = p.id AND ($3 OR m.role IS NOT NULL OR p.id = $2)), '[]'))"
);

/// The same fields, for reading the JSON of [`RECORD`] and of [`PERSON`].
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

/// The rule, once: a practitioner sees the patients of their organizations, a patient themself, a super admin all. It is
/// true, or false or null: what negates it writes `IS NOT TRUE`.
pub(crate) const VISIBLE: &str = "
($3 OR p.id = $2
 OR EXISTS (SELECT FROM patient_organization o JOIN organization_member m ON m.organization_id = o.organization_id
             WHERE o.patient_id = p.id AND m.practitioner_id = $1))";

/// The patient whose account has this e-mail, whoever the reader is: 1 to 3 the reader, 4 audit context, 5 e-mail. The
/// record is there only when the reader may see the patient anyway.
static BY_EMAIL: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH found AS MATERIALIZED (
  SELECT p.*, {VISIBLE} AS visible
    FROM app_user u JOIN patient p ON p.user_id = u.id
   WHERE lower(u.email) = lower($5) AND NOT EXISTS (SELECT FROM erasure e WHERE e.payload_key = p.payload_key)
)
SELECT a.event_id, p.id, CASE WHEN p.visible THEN {RECORD} END AS record
  FROM (SELECT audit_record($4, 'allowed', NULL,
                            ARRAY(SELECT o.organization_id
                                    FROM found JOIN patient_organization o ON o.patient_id = found.id
                                    JOIN organization_member m ON m.organization_id = o.organization_id AND m.practitioner_id = $1
                                   ORDER BY 1), '{{}}', ARRAY(SELECT id FROM found), '{{}}',
                            (SELECT max(m.role) FROM organization_member m WHERE m.practitioner_id = $1)) AS event_id) a
  LEFT JOIN found p ON true"
    )
});

/// What a look-up by e-mail found.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// Nobody has this e-mail.
    Nobody,
    /// A patient of other organizations: only the id, so that an app can be linked.
    Elsewhere(i32),
    /// A patient whom the reader may see.
    Visible(Box<Patient>),
}

/// What came of creating a patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// The new patient's id.
    Created(i32),
    /// Nobody was created: a patient of the organization has the identifier at this position.
    IdentifierTaken(usize),
}

/// An organization's patients get their identifiers one creation after the other, so that two cannot get the same.
const IN_TURN: &str = "SELECT pg_advisory_xact_lock(hashtextextended('patient identifiers', $1))";

/// One row, always: the new patient, or the first identifier that another patient of the organization has. What patients of
/// other organizations have does not count and is not told.
const CREATE: &str = "
WITH taken AS MATERIALIZED (
  SELECT min(i.n) AS n
    FROM unnest($7::text[], $8::text[]) WITH ORDINALITY AS i(system, value, n)
    JOIN patient_identifier x ON x.value = i.value AND x.system = i.system
    JOIN patient_organization o ON o.patient_id = x.patient_id AND o.organization_id = $9
), account AS (
  INSERT INTO app_user (email, first_name, last_name, user_type)
  SELECT $2, $3, $4, 'patient' FROM taken WHERE n IS NULL RETURNING id
), created AS (
  INSERT INTO patient (user_id, name_given, name_family, birth_date, telecom_phone, telecom_email)
  SELECT id, $3, $4, $5, $6, $2 FROM account RETURNING *
), identified AS (
  INSERT INTO patient_identifier (patient_id, system, value)
  SELECT created.id, i.system, i.value
    FROM created CROSS JOIN unnest($7::text[], $8::text[]) AS i(system, value)
), joined AS (
  INSERT INTO patient_organization (patient_id, organization_id) SELECT id, $9 FROM created
)
SELECT id, taken.n,
       audit_record($1, CASE WHEN taken.n IS NULL THEN 'allowed' ELSE 'denied' END, CASE WHEN taken.n IS NOT NULL THEN 'invalid' END,
                    ARRAY[$9], '{}', ARRAY(SELECT id FROM created), '{}',
                    (SELECT m.role FROM organization_member m JOIN practitioner p ON p.id = m.practitioner_id
                      WHERE m.organization_id = $9 AND p.user_id = ($1->>'actor_user_id')::int), NULL,
                    (to_jsonb(created) - 'user_id') || jsonb_build_object('identifiers',
                      (SELECT coalesce(jsonb_agg(jsonb_build_array(i.system, i.value) ORDER BY i.system, i.value), '[]')
                         FROM unnest($7::text[], $8::text[]) AS i(system, value))))
  FROM taken LEFT JOIN created ON true";

impl Store {
    /// Looks a patient up by e-mail, with the audit record, in one statement.
    pub async fn patient_by_email(&self, context: &Context, reader: Reader, email: &str) -> Result<Lookup, StoreError> {
        let (practitioner, patient, privileged) = reader.parts();
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(&BY_EMAIL, &[Type::INT4, Type::INT4, Type::BOOL, Type::JSONB, Type::TEXT])
            .await?;
        let row = client.query_one(&statement, &[&practitioner, &patient, &privileged, &Json(context), &email]).await?;
        Ok(match (row.try_get::<_, Option<i32>>("id")?, record(&row)?) {
            (None, _) => Lookup::Nobody,
            (Some(id), None) => Lookup::Elsewhere(id),
            (Some(_), Some(patient)) => Lookup::Visible(Box::new(patient)),
        })
    }

    /// Creates a patient of an organization, with an account, and the audit record, in one transaction.
    pub async fn create_patient(
        &self,
        context: &Context,
        organization: OrganizationId,
        patient: &NewPatient,
    ) -> Result<Creation, StoreError> {
        let systems: Vec<&str> = patient.identifiers.iter().map(|(system, _)| system.as_str()).collect();
        let values: Vec<&str> = patient.identifiers.iter().map(|(_, value)| value.as_str()).collect();
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        if !systems.is_empty() {
            let turn = transaction.prepare_typed_cached(IN_TURN, &[Type::INT8]).await?;
            transaction.query_one(&turn, &[&i64::from(organization.0)]).await?;
        }
        let statement = transaction
            .prepare_typed_cached(
                CREATE,
                &[
                    Type::JSONB,
                    Type::TEXT,
                    Type::TEXT,
                    Type::TEXT,
                    Type::DATE,
                    Type::TEXT,
                    Type::TEXT_ARRAY,
                    Type::TEXT_ARRAY,
                    Type::INT4,
                ],
            )
            .await?;
        let row = transaction
            .query_one(
                &statement,
                &[
                    &Json(context),
                    &patient.telecom_email,
                    &patient.name_given,
                    &patient.name_family,
                    &patient.birth_date,
                    &patient.telecom_phone,
                    &systems,
                    &values,
                    &organization.0,
                ],
            )
            .await?;
        transaction.commit().await?;
        match (row.try_get::<_, Option<i32>>("id")?, row.try_get::<_, Option<i64>>("n")?) {
            (Some(id), _) => Ok(Creation::Created(id)),
            (None, Some(n)) => {
                Ok(Creation::IdentifierTaken(usize::try_from(n - 1).map_err(|_| StoreError::Corrupt("n"))?))
            }
            (None, None) => Err(StoreError::Corrupt("created")),
        }
    }
}

/// The patient of a row that may hold none.
pub(crate) fn record(row: &Row) -> Result<Option<Patient>, StoreError> {
    Ok(row.try_get::<_, Option<Json<Record>>>("record")?.map(|json| json.0.into()))
}
