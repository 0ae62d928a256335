//! Requests of organizations to patients of others, which only the patient can accept.

use crate::{
    Store, StoreError,
    error::refers_to_nothing,
    invitation::{CANCELLED, PATIENT_IN_TURN, cancel_shown},
};
use audit::Context;
use authz::{OrganizationId, PatientId};
use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{
    Row,
    types::{Json, ToSql, Type},
};

/// A request as its two sides see it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationRequest {
    /// Its id.
    pub id: i32,
    /// The patient who is asked.
    pub patient_id: i32,
    /// The organization that asks.
    pub organization: AskingOrganization,
    /// `pending`, `accepted` or `refused`.
    pub status: String,
    /// When it was last asked.
    pub requested_at: Timestamp,
    /// When the patient decided.
    pub decided_at: Option<Timestamp>,
}

/// The organization of a request.
#[derive(Clone, Debug, Serialize)]
pub struct AskingOrganization {
    /// From 20001.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What came of asking a patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// The patient belongs to the organization already.
    Member,
    /// The patient has a request: a new one, or the one that was there.
    Asked,
    /// There is no such patient.
    NoPatient,
}

/// What came of deciding on a request.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The request as decided.
    Decided(OrganizationRequest),
    /// It was accepted before: who belongs to the organization cannot refuse to.
    AlreadyAccepted,
    /// The patient has no such request.
    Missing,
}

/// 1 audit context, 2 patient, 3 organization. A request that was accepted, and whose patient has left since, is asked anew;
/// one that was refused is not. Managers read their organization's log: for them a number that nobody has is asked as any other. Of
/// super admins, who are told that there is nobody, the caller records it.
const ASK: &str = "
WITH person AS MATERIALIZED (
  SELECT p.id, EXISTS (SELECT FROM patient_organization o WHERE o.patient_id = p.id AND o.organization_id = $3) AS belongs
    FROM patient p WHERE p.id = $2 AND NOT EXISTS (SELECT FROM erasure e WHERE e.payload_key = p.payload_key)
), was AS MATERIALIZED (
  SELECT r.* FROM organization_request r WHERE r.patient_id = $2 AND r.organization_id = $3
), asked AS (
  INSERT INTO organization_request AS r (patient_id, organization_id, requested_by)
  SELECT id, $3, ($1->>'actor_user_id')::int FROM person WHERE NOT belongs
  ON CONFLICT (patient_id, organization_id) DO UPDATE
    SET requested_by = CASE WHEN r.status = 'accepted' THEN EXCLUDED.requested_by ELSE r.requested_by END,
        requested_at = CASE WHEN r.status = 'accepted' THEN clock_timestamp() ELSE r.requested_at END,
        decided_at = CASE WHEN r.status = 'accepted' THEN NULL ELSE r.decided_at END,
        status = CASE WHEN r.status = 'accepted' THEN 'pending' ELSE r.status END
  RETURNING *
)
SELECT p.id IS NOT NULL AS is_there, p.belongs,
       CASE WHEN p.id IS NOT NULL OR $1->>'actor_type' <> 'super_admin' THEN
       audit_record(CASE WHEN p.id IS NULL THEN $1 || jsonb_build_object('detail', jsonb_build_object('nobody', $2)) ELSE $1 END,
                    'allowed', NULL, ARRAY[$3], '{}', array_remove(ARRAY[p.id], NULL), '{}',
                    (SELECT m.role FROM organization_member m JOIN practitioner c ON c.id = m.practitioner_id
                      WHERE m.organization_id = $3 AND c.user_id = ($1->>'actor_user_id')::int),
                    CASE WHEN r.id IS NOT NULL THEN to_jsonb(w) END, to_jsonb(r)) END AS event_id
  FROM (VALUES (1)) one LEFT JOIN person p ON true LEFT JOIN asked r ON true LEFT JOIN was w ON true";

/// 1 audit context, 2 patient.
const LIST: &str = "
SELECT a.event_id, r.id, r.patient_id, r.status, r.requested_at, r.decided_at,
       o.id AS organization_id, o.name AS organization_name, o.type AS organization_type
  FROM (SELECT audit_record($1, 'allowed', NULL, '{}', '{}', ARRAY[$2::int], '{}') AS event_id) a
  LEFT JOIN (organization_request r JOIN organization o ON o.id = r.organization_id) ON r.patient_id = $2
 ORDER BY r.id DESC";

/// 1 audit context, 2 patient, 3 request or null, 4 organization or null, 5 the decision. What is accepted cannot be refused
/// afterwards; what is refused can be accepted. That somebody refused is not of the organization: its log would tell. Who joins is of one organization more than those that were shown a link: the links
/// that were not shown by this organization too end.
fn decide() -> String {
    let cancelled = cancel_shown(
        "joined j",
        "i.patient_id = j.patient_id
         AND NOT EXISTS (SELECT FROM invitation_organization x WHERE x.invitation_id = i.id AND x.organization_id = j.organization_id)",
    );
    format!(
        "
WITH was AS MATERIALIZED (
  SELECT r.* FROM organization_request r
   WHERE r.patient_id = $2 AND (r.id = $3 OR r.organization_id = $4) FOR NO KEY UPDATE
), decided AS (
  UPDATE organization_request r SET status = $5, decided_at = clock_timestamp()
    FROM was w WHERE r.id = w.id AND w.status <> 'accepted'
  RETURNING r.*
), joined AS (
  INSERT INTO patient_organization (patient_id, organization_id)
  SELECT patient_id, organization_id FROM decided WHERE $5 = 'accepted'
  ON CONFLICT DO NOTHING
  RETURNING patient_id, organization_id
), changed AS (
  UPDATE patient p SET last_updated = clock_timestamp() FROM joined j WHERE p.id = j.patient_id
), cancelled AS ({cancelled})
SELECT w.id, w.patient_id, coalesce(d.status, w.status) AS status, w.requested_at, coalesce(d.decided_at, w.decided_at) AS decided_at,
       o.id AS organization_id, o.name AS organization_name, o.type AS organization_type,
       audit_record($1, CASE WHEN d.id IS NULL AND $5 = 'refused' THEN 'denied' ELSE 'allowed' END,
                    CASE WHEN d.id IS NULL AND $5 = 'refused' THEN 'invalid' END, CASE WHEN coalesce(d.status, w.status) = 'refused' THEN '{{}}' ELSE ARRAY[w.organization_id] END,
                    '{{}}', ARRAY[w.patient_id], '{{}}', NULL,
                    CASE WHEN d.id IS NOT NULL THEN to_jsonb(w) END, to_jsonb(d) || coalesce({CANCELLED}, '{{}}')) AS event_id
  FROM was w JOIN organization o ON o.id = w.organization_id LEFT JOIN decided d ON d.id = w.id"
    )
}

impl Store {
    /// Asks a patient to belong to an organization, with the audit record, in one statement. Who is asked already, or has
    /// refused, is not asked again.
    pub async fn ask_into_organization(
        &self,
        context: &Context,
        patient: PatientId,
        organization: OrganizationId,
    ) -> Result<Asking, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(ASK, &[Type::JSONB, Type::INT4, Type::INT4]).await?;
        let context = Json(context);
        let values: [&(dyn ToSql + Sync); 3] = [&context, &patient.0, &organization.0];
        let row = match client.query_one(&statement, &values).await {
            // Who was there is erased meanwhile: now it is seen that there is nobody.
            Err(error) if refers_to_nothing(&error) => client.query_one(&statement, &values).await?,
            asked => asked?,
        };
        Ok(match (row.try_get("is_there")?, row.try_get("belongs")?) {
            (false, _) => Asking::NoPatient,
            (true, Some(true)) => Asking::Member,
            (true, _) => Asking::Asked,
        })
    }

    /// All requests to a patient, newest first, with the audit record, in one statement.
    pub async fn organization_requests(
        &self,
        context: &Context,
        patient: PatientId,
    ) -> Result<Vec<OrganizationRequest>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(LIST, &[Type::JSONB, Type::INT4]).await?;
        let rows = client.query(&statement, &[&Json(context), &patient.0]).await?;
        rows.iter().filter_map(|row| request(row).transpose()).collect()
    }

    /// A patient accepts or refuses a request, named by its id or by its organization, with the audit record, in one
    /// transaction.
    pub async fn decide_on_organization(
        &self,
        context: &Context,
        patient: PatientId,
        (id, organization): (Option<i32>, Option<OrganizationId>),
        accepts: bool,
    ) -> Result<Decision, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let turn = transaction.prepare_typed_cached(PATIENT_IN_TURN, &[Type::INT4]).await?;
        transaction.query_opt(&turn, &[&patient.0]).await?;
        let types = [Type::JSONB, Type::INT4, Type::INT4, Type::INT4, Type::TEXT];
        let statement = transaction.prepare_typed_cached(&decide(), &types).await?;
        let decision = if accepts { "accepted" } else { "refused" };
        let organization = organization.map(|id| id.0);
        let row =
            transaction.query_opt(&statement, &[&Json(context), &patient.0, &id, &organization, &decision]).await?;
        transaction.commit().await?;
        let Some(row) = row else { return Ok(Decision::Missing) };
        Ok(match request(&row)? {
            Some(request) if request.status == decision => Decision::Decided(request),
            _ => Decision::AlreadyAccepted,
        })
    }
}

/// The request of a row that may hold none.
fn request(row: &Row) -> Result<Option<OrganizationRequest>, StoreError> {
    let Some(id) = row.try_get("id")? else { return Ok(None) };
    Ok(Some(OrganizationRequest {
        id,
        patient_id: row.try_get("patient_id")?,
        organization: AskingOrganization {
            id: row.try_get("organization_id")?,
            name: row.try_get("organization_name")?,
            kind: row.try_get("organization_type")?,
        },
        status: row.try_get("status")?,
        requested_at: row.try_get("requested_at")?,
        decided_at: row.try_get("decided_at")?,
    }))
}
