//! Invitations: a coordinator lets a patient's app in.

use crate::{
    NewCode, Store, StoreError,
    oauth::{insert_code, scope_of},
};
use audit::{Context, RefusedBy};
use authz::{PatientId, UserId};
use deadpool_postgres::Transaction;
use jiff::Timestamp;
use oauth::{TokenHash, pkce::Challenge};
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// An invitation to issue.
#[derive(Debug)]
pub struct NewInvitation {
    /// For whom.
    pub patient: PatientId,
    /// The client's row.
    pub client: i32,
    /// The hash of the token that the link carries.
    pub token: TokenHash,
    /// Who issues it.
    pub issued_by: UserId,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
}

/// An invitation as issued.
#[derive(Clone, Debug)]
pub struct IssuedInvitation {
    /// From 101.
    pub id: i32,
    /// The client's invitation link, with `CODE` where the token goes.
    pub invitation_url: Option<String>,
    /// When it was issued.
    pub last_updated: Timestamp,
}

/// What came of issuing an invitation.
#[derive(Clone, Debug)]
pub enum Issue {
    /// It is issued.
    Issued(IssuedInvitation),
    /// There is no such patient.
    NoPatient,
    /// There is no such client, or it cannot exchange a code.
    NoClient,
}

/// What redeeming an invitation brings.
#[derive(Debug)]
pub struct InvitationCode<'a> {
    /// The code's hash.
    pub hash: TokenHash,
    /// The challenge that the invitation's token answers.
    pub challenge: &'a Challenge,
    /// When it is issued.
    pub now: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
}

/// What came of redeeming an invitation.
#[derive(Clone, Debug)]
pub enum Redemption {
    /// A code was stored; the app exchanges it for tokens.
    Redeemed {
        /// The client's public name.
        client_id: String,
        /// Where the code belongs.
        redirect_uri: String,
    },
    /// No invitation has this token.
    Unknown,
    /// It was cancelled.
    Cancelled,
    /// It was replaced by a later one, or redeemed too long ago.
    Used,
    /// It lay too long.
    Expired,
}

/// One row, always: whether the patient is there, and the invitation if it was issued. Each is recorded, with the
/// organizations by which it was allowed and the role in them; a super admin's with all of the patient.
const ISSUE: &str = "
WITH allowing AS MATERIALIZED (
  SELECT o.organization_id, r.role
    FROM patient_organization o
    LEFT JOIN (SELECT m.organization_id, m.role FROM organization_member m JOIN practitioner p ON p.id = m.practitioner_id
                WHERE p.user_id = ($1->>'actor_user_id')::int AND $1->>'actor_type' = 'practitioner') r
      ON r.organization_id = o.organization_id
   WHERE o.patient_id = $2 AND (r.role >= 'member' OR $1->>'actor_type' = 'super_admin')
), invitable AS (
  SELECT p.id AS patient_id, c.id AS client_id, c.invitation_url
    FROM patient p CROSS JOIN oauth_client c
   WHERE p.id = $2 AND c.id = $3 AND cardinality(c.redirect_uris) > 0 AND 'authorization_code' = ANY (c.grant_types)
     AND c.invitation_url IS NOT NULL
), superseded AS (
  UPDATE invitation i SET status = 'reissued', last_updated = clock_timestamp()
    FROM invitable
   WHERE i.patient_id = invitable.patient_id AND i.client_id = invitable.client_id AND i.status = 'issued'
), issued AS (
  INSERT INTO invitation (patient_id, client_id, token_hash, issued_by, expires_at)
  SELECT patient_id, client_id, $4, $5, $6 FROM invitable
  RETURNING id, last_updated
)
SELECT EXISTS (SELECT FROM patient WHERE id = $2) AS patient_exists, i.id, i.last_updated, c.invitation_url,
       audit_record($1, CASE WHEN i.id IS NOT NULL THEN 'allowed' ELSE 'denied' END,
                    CASE WHEN i.id IS NOT NULL THEN NULL
                         WHEN EXISTS (SELECT FROM patient WHERE id = $2) THEN 'invalid' ELSE 'not_found' END,
                    ARRAY(SELECT organization_id FROM allowing ORDER BY 1),
                    '{}', ARRAY(SELECT id FROM patient WHERE id = $2), '{}', (SELECT max(role) FROM allowing)) AS event_id
  FROM (VALUES (1)) one LEFT JOIN issued i ON true LEFT JOIN invitable c ON true";

/// The code's grant is by the patient's user; its redirect URI is the client's first. `organizations` are those by which the
/// patient was invited.
const REDEEMABLE: &str = "
SELECT i.id, i.status, i.expires_at <= clock_timestamp() AS expired,
       i.redeemed_at < clock_timestamp() - $2 * interval '1 second' AS redeemed_long_ago,
       i.patient_id, p.user_id, i.client_id AS client_row, c.client_id, c.redirect_uris[1] AS redirect_uri,
       array_to_string(c.scopes, ' ') AS scope,
       ARRAY(SELECT o.organization_id
               FROM patient_organization o
               JOIN organization_member m ON m.organization_id = o.organization_id AND m.role >= 'member'
               JOIN practitioner r ON r.id = m.practitioner_id
              WHERE o.patient_id = i.patient_id AND r.user_id = i.issued_by
              ORDER BY 1) AS organizations
  FROM invitation i JOIN patient p ON p.id = i.patient_id JOIN oauth_client c ON c.id = i.client_id
 WHERE i.token_hash = $1
   FOR UPDATE OF i";

impl Store {
    /// Issues an invitation and its audit record, in one statement; earlier open ones for the same patient and client
    /// end.
    pub async fn issue_invitation(&self, context: &Context, invitation: &NewInvitation) -> Result<Issue, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                ISSUE,
                &[Type::JSONB, Type::INT4, Type::INT4, Type::BYTEA, Type::INT4, Type::TIMESTAMPTZ],
            )
            .await?;
        let row = client
            .query_one(
                &statement,
                &[
                    &Json(context),
                    &invitation.patient.0,
                    &invitation.client,
                    &invitation.token.as_bytes().as_slice(),
                    &invitation.issued_by.0,
                    &invitation.expires_at,
                ],
            )
            .await?;
        match row.try_get::<_, Option<i32>>("id")? {
            Some(id) => Ok(Issue::Issued(IssuedInvitation {
                id,
                invitation_url: row.try_get("invitation_url")?,
                last_updated: row.try_get("last_updated")?,
            })),
            None if row.try_get("patient_exists")? => Ok(Issue::NoClient),
            None => Ok(Issue::NoPatient),
        }
    }

    /// Redeems an invitation: stores a code for the patient's user, with the audit record, in one transaction. It can
    /// be redeemed again for `window_seconds` after the last time, since an app may lose the answer.
    pub async fn redeem_invitation(
        &self,
        context: &Context,
        token: &TokenHash,
        window_seconds: i32,
        code: &InvitationCode<'_>,
    ) -> Result<Redemption, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let select = transaction.prepare_typed_cached(REDEEMABLE, &[Type::BYTEA, Type::INT4]).await?;
        let Some(row) = transaction.query_opt(&select, &[&token.as_bytes().as_slice(), &window_seconds]).await? else {
            return Ok(Redemption::Unknown);
        };
        let outcome = match refusal(&row)? {
            None => redeem(&transaction, context, &row, code).await?,
            Some(refused) => {
                let record = transaction
                    .prepare_typed_cached(
                        "SELECT audit_record($1, 'denied', $2, $4, '{}', ARRAY[$3], '{}')",
                        &[Type::JSONB, Type::TEXT, Type::INT4, Type::INT4_ARRAY],
                    )
                    .await?;
                let patient: i32 = row.try_get("patient_id")?;
                let reason = RefusedBy::Layer(authz::Layer::Token).name();
                let organizations: Vec<i32> = row.try_get("organizations")?;
                transaction.query_one(&record, &[&Json(context), &reason, &patient, &organizations]).await?;
                refused
            }
        };
        transaction.commit().await?;
        Ok(outcome)
    }
}

/// Why an invitation cannot be redeemed, if so.
fn refusal(row: &Row) -> Result<Option<Redemption>, StoreError> {
    Ok(match row.try_get::<_, &str>("status")? {
        "cancelled" => Some(Redemption::Cancelled),
        "reissued" => Some(Redemption::Used),
        _ if row.try_get::<_, Option<bool>>("redeemed_long_ago")? == Some(true) => Some(Redemption::Used),
        _ if row.try_get("expired")? => Some(Redemption::Expired),
        // The client lost its redirect URI since.
        _ if row.try_get::<_, Option<&str>>("redirect_uri")?.is_none() => Some(Redemption::Cancelled),
        _ => None,
    })
}

async fn redeem(
    transaction: &Transaction<'_>,
    context: &Context,
    row: &Row,
    code: &InvitationCode<'_>,
) -> Result<Redemption, StoreError> {
    let mark = transaction
        .prepare_cached(
            "UPDATE invitation
                SET status = 'redeemed', redeemed_at = clock_timestamp(), last_updated = clock_timestamp()
              WHERE id = $1",
        )
        .await?;
    transaction.execute(&mark, &[&row.try_get::<_, i32>("id")?]).await?;
    let redirect_uri: String = row.try_get("redirect_uri")?;
    let code = NewCode {
        hash: code.hash,
        user: UserId(row.try_get("user_id")?),
        client: row.try_get("client_row")?,
        scope: &scope_of(row, "scope")?,
        auth_time: code.now,
        redirect_uri: &redirect_uri,
        challenge: code.challenge,
        nonce: None,
        expires_at: code.expires_at,
    };
    insert_code(transaction, context, &code, &row.try_get::<_, Vec<i32>>("organizations")?).await?;
    Ok(Redemption::Redeemed { client_id: row.try_get("client_id")?, redirect_uri })
}
