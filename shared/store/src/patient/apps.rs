//! The apps of a patient: the clients of their studies, with the invitations to them.

use super::VISIBLE;
use crate::{ClientSummary, Store, StoreError, invitation, observation::Reader};
use audit::{Context, RefusedBy};
use authz::PatientId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;
use tokio_postgres::types::{Json, Type};

/// A client of a patient's studies.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PatientClient {
    /// The client.
    #[serde(flatten)]
    pub client: ClientSummary,
    /// The invitations of the patient to it that the reader may see, oldest first.
    pub patient_invitations: Vec<ClientInvitation>,
}

/// An invitation to a client. `client_id` keeps its underscore as OAuth has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientInvitation {
    /// From 101.
    pub id: i32,
    /// For whom.
    #[serde(rename = "patientId")]
    pub patient_id: i32,
    /// The client's row.
    pub client_id: i32,
    /// The hash of the token, in base64url. Nothing takes it in place of the token.
    #[serde(rename = "tokenHash")]
    pub token_hash: String,
    /// Always null: the token was shown once, or not at all.
    pub token: Option<String>,
    /// `issued`, `redeemed`, `reissued` or `cancelled`.
    pub status: String,
    /// When it last changed.
    #[serde(rename = "lastUpdated")]
    pub last_updated: Timestamp,
}

/// 1 to 3 the reader, 4 audit context, 5 patient. A practitioner is told of the studies of their own organizations, and of the
/// invitations that these issued.
static SELECT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH named AS MATERIALIZED (
  SELECT p.id, {VISIBLE} IS TRUE AS visible FROM patient p WHERE p.id = $5
), outcome AS MATERIALIZED (
  SELECT CASE WHEN NOT EXISTS (SELECT FROM named) THEN 'not_found'
              WHEN EXISTS (SELECT FROM named WHERE visible) THEN NULL
              WHEN $2::int IS NOT NULL THEN 'user_type' ELSE 'organization' END AS refused_by
), through AS MATERIALIZED (
  SELECT m.organization_id, m.role FROM patient_organization o
    JOIN organization_member m ON m.organization_id = o.organization_id AND m.practitioner_id = $1
   WHERE o.patient_id = $5
), app AS MATERIALIZED (
  SELECT DISTINCT c.client_id AS id
    FROM study_patient e JOIN study_client c ON c.study_id = e.study_id
   WHERE e.patient_id = $5 AND ($1 IS NULL OR e.organization_id IN (SELECT organization_id FROM through))
)
SELECT a.event_id, a.refused_by, c.id, c.name, c.client_id, c.invitation_url,
       coalesce((SELECT jsonb_agg(jsonb_build_object('id', i.id, 'patientId', i.patient_id, 'client_id', i.client_id,
                          'tokenHash', rtrim(translate(encode(i.token_hash, 'base64'), '+/', '-_'), '='), 'token', NULL,
                          'status', i.status, 'lastUpdated', i.last_updated) ORDER BY i.id)
                   FROM invitation i WHERE i.patient_id = $5 AND i.client_id = c.id AND {}), '[]') AS invitations
  FROM (SELECT o.refused_by,
               audit_record($4, CASE WHEN o.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, o.refused_by,
                            ARRAY(SELECT organization_id FROM through ORDER BY 1), '{{}}', ARRAY(SELECT id FROM named), '{{}}',
                            (SELECT max(role) FROM through)) AS event_id
          FROM outcome o) a
  LEFT JOIN (app JOIN oauth_client c ON c.id = app.id AND c.deleted_at IS NULL) ON a.refused_by IS NULL
 ORDER BY c.id",
        invitation::VISIBLE
    )
});

impl Store {
    /// The clients of a patient's studies with the patient's invitations, and the audit record, in one statement.
    /// `Ok(Err(reason))`: the patient is not one whom the reader may see.
    pub async fn clients_of_patient(
        &self,
        context: &Context,
        reader: Reader,
        patient: PatientId,
    ) -> Result<Result<Vec<PatientClient>, RefusedBy>, StoreError> {
        let (practitioner, own, privileged) = reader.parts();
        let client = self.connection().await?;
        let types = [Type::INT4, Type::INT4, Type::BOOL, Type::JSONB, Type::INT4];
        let statement = client.prepare_typed_cached(&SELECT, &types).await?;
        let rows = client.query(&statement, &[&practitioner, &own, &privileged, &Json(context), &patient.0]).await?;
        let mut clients = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(reason) = row.try_get::<_, Option<&str>>("refused_by")? {
                return Ok(Err(RefusedBy::from_name(reason).ok_or(StoreError::Corrupt("refused_by"))?));
            }
            let Some(id) = row.try_get("id")? else { continue };
            clients.push(PatientClient {
                client: ClientSummary {
                    id,
                    name: row.try_get("name")?,
                    client_id: row.try_get("client_id")?,
                    invitation_url: row.try_get("invitation_url")?,
                },
                patient_invitations: row.try_get::<_, Json<Vec<ClientInvitation>>>("invitations")?.0,
            });
        }
        Ok(Ok(clients))
    }
}
