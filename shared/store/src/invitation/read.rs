//! Reading invitations. The token is nowhere: only its hash was ever stored.

use super::VISIBLE;
use crate::{COUNTED, Slice, Store, StoreError, asked::asked, observation::Reader, patient};
use audit::{Context, RefusedBy};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::LazyLock;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// An invitation, in the shape of `/api/v1`. `client_id`, the row of the client, keeps its underscore as OAuth has it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// From 101.
    pub id: i32,
    /// For whom.
    pub patient_id: i32,
    /// The client's row.
    #[serde(rename = "client_id")]
    pub client_id: i32,
    /// The hash of the token, in base64url.
    pub token_hash: String,
    /// Always null: the token was shown once, or not at all.
    pub token: Option<&'static str>,
    /// `issued`, `redeemed`, `reissued` or `cancelled`.
    pub status: String,
    /// When it last changed.
    pub last_updated: Timestamp,
    /// The account that issued it.
    pub issued_by: i32,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
    /// Whether the exchange sent it to the patient by e-mail, and showed it to nobody else.
    pub emailed: bool,
    /// When it was last redeemed.
    pub redeemed_at: Option<Timestamp>,
    /// From which network address it was issued. As the next, only the patient and a super admin are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_from: Option<String>,
    /// From which network address it was last redeemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redeemed_from: Option<String>,
}

/// Which invitations are asked for. Everything that is set must hold.
#[derive(Clone, Copy, Debug)]
pub struct InvitationFilter<'a> {
    /// Only this one.
    pub id: Option<i32>,
    /// Only for this patient.
    pub patient: Option<i32>,
    /// Only for this client.
    pub client: Option<i32>,
    /// Only with this status.
    pub status: Option<&'a str>,
    /// Which of them, newest first.
    pub slice: Slice,
}

/// A page of invitations, newest first.
#[derive(Clone, Debug, Default)]
pub struct InvitationPage {
    /// The invitations.
    pub rows: Vec<Invitation>,
    /// True when the next page is not empty.
    pub more: bool,
    /// How many there are, [`COUNTED`](crate::COUNTED) at most.
    pub total: i64,
}

/// 1 to 3 the reader, 4 audit context, 5 id, 6 patient, 7 client, 8 status, 9 before, 10 count, 11 skip, 12 how far to count.
static SELECT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH named AS MATERIALIZED (
  SELECT p.id, {} AS visible FROM patient p WHERE p.id = $6
  UNION ALL
  SELECT i.patient_id, {VISIBLE} FROM invitation i WHERE i.id = $5
), outcome AS MATERIALIZED (
  SELECT CASE WHEN $5 IS NULL AND $6 IS NULL THEN NULL
              WHEN NOT EXISTS (SELECT FROM named) THEN 'not_found'
              WHEN NOT EXISTS (SELECT FROM named WHERE visible IS NOT TRUE) THEN NULL
              WHEN $2 IS NOT NULL THEN 'user_type'
              ELSE 'organization' END AS refused_by
), mine AS NOT MATERIALIZED (
  SELECT i.* FROM invitation i
   WHERE {VISIBLE} AND ($5 IS NULL OR i.id = $5) AND ($6 IS NULL OR i.patient_id = $6)
     AND ($7 IS NULL OR i.client_id = $7) AND ($8 IS NULL OR i.status = $8)
), page AS MATERIALIZED (
  SELECT * FROM mine WHERE id < $9 ORDER BY id DESC LIMIT $10 + $11 + 1
), shown AS MATERIALIZED (
  SELECT * FROM page ORDER BY id DESC LIMIT $10 OFFSET $11
)
SELECT a.event_id, a.refused_by, (SELECT count(*) FROM (SELECT FROM mine LIMIT $12) c) AS total, (SELECT count(*) FROM page) > $10 + $11 AS more,
       i.id, i.patient_id, i.client_id, i.token_hash, i.status, i.last_updated, i.issued_by, i.issued_at, i.expires_at,
       i.emailed, i.redeemed_at,
       CASE WHEN $1 IS NULL THEN i.issued_from END AS issued_from, CASE WHEN $1 IS NULL THEN i.redeemed_from END AS redeemed_from
  FROM (SELECT o.refused_by,
               audit_record($4 || {noted}, CASE WHEN o.refused_by IS NULL THEN 'allowed' ELSE 'denied' END, o.refused_by,
                            ARRAY(SELECT DISTINCT x.organization_id FROM shown JOIN invitation_organization x ON x.invitation_id = shown.id
                                   ORDER BY x.organization_id),
                            '{{}}', ARRAY(SELECT patient_id FROM shown UNION SELECT id FROM named ORDER BY 1), '{{}}',
                            (SELECT max(m.role) FROM organization_member m
                               JOIN invitation_organization x ON x.organization_id = m.organization_id
                               JOIN shown ON shown.id = x.invitation_id WHERE m.practitioner_id = $1)) AS event_id
          FROM outcome o) a
  LEFT JOIN shown i ON true
 ORDER BY i.id DESC",
        patient::VISIBLE,
        noted = asked("SELECT id FROM named", "SELECT patient_id FROM shown")
    )
});

const TYPES: [Type; 12] = [
    Type::INT4,
    Type::INT4,
    Type::BOOL,
    Type::JSONB,
    Type::INT4,
    Type::INT4,
    Type::INT4,
    Type::TEXT,
    Type::INT4,
    Type::INT8,
    Type::INT8,
    Type::INT8,
];

impl Store {
    /// A page of the invitations that the reader may see, with the audit record, in one statement. What was named and may not be
    /// seen, or is not there, is refused.
    pub async fn invitations(
        &self,
        context: &Context,
        reader: Reader,
        filter: &InvitationFilter<'_>,
    ) -> Result<Result<InvitationPage, RefusedBy>, StoreError> {
        let (practitioner, own, privileged) = reader.parts();
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(&SELECT, &TYPES).await?;
        let InvitationFilter { id, patient, client: app, status, slice } = filter;
        let rows = client
            .query(
                &statement,
                &[
                    &practitioner,
                    &own,
                    &privileged,
                    &Json(context),
                    id,
                    patient,
                    app,
                    status,
                    &slice.before_id(),
                    &slice.count,
                    &slice.skip,
                    &COUNTED,
                ],
            )
            .await?;
        let mut page = InvitationPage::default();
        for row in &rows {
            if let Some(reason) = row.try_get::<_, Option<&str>>("refused_by")? {
                return Ok(Err(RefusedBy::from_name(reason).ok_or(StoreError::Corrupt("refused_by"))?));
            }
            page.more = row.try_get("more")?;
            page.total = row.try_get("total")?;
            page.rows.extend(invitation(row)?);
        }
        Ok(Ok(page))
    }
}

/// The invitation of a row, if the page has any.
fn invitation(row: &Row) -> Result<Option<Invitation>, StoreError> {
    let Some(id) = row.try_get("id")? else { return Ok(None) };
    Ok(Some(Invitation {
        id,
        patient_id: row.try_get("patient_id")?,
        client_id: row.try_get("client_id")?,
        token_hash: URL_SAFE_NO_PAD.encode(row.try_get::<_, &[u8]>("token_hash")?),
        token: None,
        status: row.try_get("status")?,
        last_updated: row.try_get("last_updated")?,
        issued_by: row.try_get("issued_by")?,
        issued_at: row.try_get("issued_at")?,
        expires_at: row.try_get("expires_at")?,
        emailed: row.try_get("emailed")?,
        redeemed_at: row.try_get("redeemed_at")?,
        issued_from: row.try_get("issued_from")?,
        redeemed_from: row.try_get("redeemed_from")?,
    }))
}
