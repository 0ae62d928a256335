//! Invitations: a coordinator lets a patient's app in.

use crate::{
    Store, StoreError,
    oauth::{CODE_TYPES, ISSUE_CODE},
};
use audit::Context;
use authz::{PatientId, UserId};
use jiff::Timestamp;
use oauth::{TokenHash, pkce::Challenge};
use tokio_postgres::types::{Json, Type};

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

const ISSUE: &str = "
WITH superseded AS (
  UPDATE invitation SET status = 'reissued', last_updated = clock_timestamp()
   WHERE patient_id = $2 AND client_id = $3 AND status = 'issued'
), issued AS (
  INSERT INTO invitation (patient_id, client_id, token_hash, issued_by, expires_at)
  SELECT $2, c.id, $4, $5, $6 FROM oauth_client c WHERE c.id = $3
  RETURNING id, last_updated
)
SELECT i.id, i.last_updated, c.invitation_url,
       audit_record($1, 'allowed', NULL, ARRAY(SELECT organization_id FROM patient_organization WHERE patient_id = $2),
                    '{}', ARRAY[$2], '{}') AS event_id
  FROM issued i JOIN oauth_client c ON c.id = $3";

/// The code's grant is by the patient's user; its redirect URI is the client's first.
const REDEEMABLE: &str = "
SELECT i.id, i.status, i.expires_at <= clock_timestamp() AS expired,
       i.redeemed_at < clock_timestamp() - $2::int * interval '1 second' AS redeemed_long_ago,
       i.patient_id, p.user_id, i.client_id AS client_pk, c.client_id, c.redirect_uris[1] AS redirect_uri,
       array_to_string(c.scopes, ' ') AS scope
  FROM invitation i JOIN patient p ON p.id = i.patient_id JOIN oauth_client c ON c.id = i.client_id
 WHERE i.token_hash = $1
   FOR UPDATE OF i";

impl Store {
    /// Issues an invitation and its audit record, in one statement; earlier open ones for the same patient and client
    /// end. None: there is no such client.
    pub async fn issue_invitation(
        &self,
        context: &Context,
        invitation: &NewInvitation,
    ) -> Result<Option<IssuedInvitation>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                ISSUE,
                &[Type::JSONB, Type::INT4, Type::INT4, Type::BYTEA, Type::INT4, Type::TIMESTAMPTZ],
            )
            .await?;
        let row = client
            .query_opt(
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
        row.map(|row| {
            Ok(IssuedInvitation {
                id: row.try_get("id")?,
                invitation_url: row.try_get("invitation_url")?,
                last_updated: row.try_get("last_updated")?,
            })
        })
        .transpose()
    }

    /// Redeems an invitation: stores a code for the patient's user, with the audit record, in one transaction. It can
    /// be redeemed again for `window_seconds` after the last time, since an app may lose the answer.
    pub async fn redeem_invitation(
        &self,
        context: &Context,
        token: &TokenHash,
        window_seconds: i32,
        code: &TokenHash,
        challenge: &Challenge,
        now: Timestamp,
        code_expires_at: Timestamp,
    ) -> Result<Redemption, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let select = transaction.prepare_typed_cached(REDEEMABLE, &[Type::BYTEA, Type::INT4]).await?;
        let Some(row) =
            transaction.query_opt(&select, &[&token.as_bytes().as_slice(), &window_seconds]).await?
        else {
            return Ok(Redemption::Unknown);
        };
        let refused = match row.try_get::<_, &str>("status")? {
            "cancelled" => Some(Redemption::Cancelled),
            "reissued" => Some(Redemption::Used),
            _ if row.try_get::<_, Option<bool>>("redeemed_long_ago")? == Some(true) => Some(Redemption::Used),
            _ if row.try_get("expired")? => Some(Redemption::Expired),
            _ => None,
        };
        let patient: i32 = row.try_get("patient_id")?;
        let outcome = match refused {
            Some(refused) => refused,
            None => {
                let redeem = transaction
                    .prepare_cached(
                        "UPDATE invitation
                            SET status = 'redeemed', redeemed_at = clock_timestamp(), last_updated = clock_timestamp()
                          WHERE id = $1",
                    )
                    .await?;
                transaction.execute(&redeem, &[&row.try_get::<_, i32>("id")?]).await?;
                let redirect_uri: String = row.try_get("redirect_uri")?;
                let issue = transaction.prepare_typed_cached(ISSUE_CODE, &CODE_TYPES).await?;
                transaction
                    .execute(
                        &issue,
                        &[
                            &row.try_get::<_, i32>("user_id")?,
                            &row.try_get::<_, i32>("client_pk")?,
                            &row.try_get::<_, &str>("scope")?,
                            &now,
                            &code.as_bytes().as_slice(),
                            &redirect_uri,
                            &challenge.as_str(),
                            &None::<&str>,
                            &code_expires_at,
                        ],
                    )
                    .await?;
                Redemption::Redeemed { client_id: row.try_get("client_id")?, redirect_uri }
            }
        };
        let (result, reason) = match outcome {
            Redemption::Redeemed { .. } => ("allowed", None),
            _ => ("denied", Some("token")),
        };
        let record = transaction
            .prepare_typed_cached(
                "SELECT audit_record($1, $2, $3, '{}', '{}', ARRAY[$4], '{}')",
                &[Type::JSONB, Type::TEXT, Type::TEXT, Type::INT4],
            )
            .await?;
        transaction.execute(&record, &[&Json(context), &result, &reason, &patient]).await?;
        transaction.commit().await?;
        Ok(outcome)
    }
}
