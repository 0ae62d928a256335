//! Redeeming an invitation.
//!
//! The app of a client with static PKCE has two ways: to redeem as others do, for a code that answers to the fixed
//! verifier; or to exchange the token itself as a code, as older apps do. The second is open while the invitation is:
//! [`OPEN_STATIC_CODE`].

use crate::{
    NewCode, Store, StoreError,
    oauth::{Redeemed, insert_code, scope_of},
};
use audit::{Context, RefusedBy};
use authz::UserId;
use deadpool_postgres::Transaction;
use jiff::Timestamp;
use oauth::{TokenHash, pkce::Challenge, resource::Audience};
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// What redeeming an invitation brings.
#[derive(Debug)]
pub struct InvitationCode<'a> {
    /// The code's hash.
    pub hash: TokenHash,
    /// The challenge that the invitation's token answers.
    pub challenge: &'a Challenge,
    /// The deployment's fixed challenge, for clients set to static PKCE.
    pub static_challenge: Option<&'a Challenge>,
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
        /// The client's row, when it is set to static PKCE.
        static_pkce: Option<i32>,
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

/// The code's grant is by the patient's user; its redirect URI is the client's first. `organizations` are those through which
/// the invitation was issued.
const REDEEMABLE: &str = "
SELECT i.id, i.status, i.expires_at <= clock_timestamp() AS expired,
       i.redeemed_at < clock_timestamp() - $2 * interval '1 second' AS redeemed_long_ago,
       i.patient_id, p.user_id, i.client_id AS client_row, c.client_id, c.redirect_uris[1] AS redirect_uri,
       array_to_string(c.scopes, ' ') AS scope, c.static_pkce,
       ARRAY(SELECT x.organization_id FROM invitation_organization x WHERE x.invitation_id = i.id ORDER BY 1) AS organizations
  FROM invitation i JOIN patient p ON p.id = i.patient_id JOIN oauth_client c ON c.id = i.client_id AND c.deleted_at IS NULL AND c.contained_at IS NULL
 WHERE i.token_hash = $1
   FOR UPDATE OF i";

/// A condition on the code `c`, which holds for every code that is not an invitation's token. Such a token is a code while
/// its client is set to static PKCE and the invitation is open; once used as one it stays known, so that a replay is seen
/// as one (RFC 6749 section 4.1.2).
pub(crate) const OPEN_STATIC_CODE: &str = "
NOT EXISTS (SELECT FROM invitation i JOIN oauth_client k ON k.id = i.client_id
             WHERE i.token_hash = c.code_hash AND c.used_at IS NULL AND NOT (k.static_pkce AND k.deleted_at IS NULL AND k.contained_at IS NULL AND i.status = 'issued'))";

/// Marks the invitation whose token was exchanged as a code, if it was one. 1 token, 2 audit context.
pub(crate) const REDEEMED_AS_CODE: &str = "
WITH redeemed AS (
  UPDATE invitation SET status = 'redeemed', redeemed_at = clock_timestamp(), last_updated = clock_timestamp(),
         redeemed_from = $2->>'source_address'
   WHERE token_hash = $1 AND status = 'issued'
  RETURNING *
)
SELECT audit_record($2 || jsonb_build_object('action', 'update', 'resource_type', 'Invitation', 'actor_user_id', p.user_id,
                                             'actor_type', 'patient', 'client_id', i.client_id),
                    'allowed', NULL, '{}', '{}', ARRAY[i.patient_id], '{}', NULL, to_jsonb(i) - 'token_hash', to_jsonb(r) - 'token_hash')
  FROM redeemed r JOIN invitation i ON i.id = r.id JOIN patient p ON p.id = i.patient_id";

impl Store {
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
        let outcome = match refusal(&row, code)? {
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
fn refusal(row: &Row, code: &InvitationCode<'_>) -> Result<Option<Redemption>, StoreError> {
    Ok(match row.try_get::<_, &str>("status")? {
        "cancelled" => Some(Redemption::Cancelled),
        "reissued" => Some(Redemption::Used),
        _ if row.try_get::<_, Option<bool>>("redeemed_long_ago")? == Some(true) => Some(Redemption::Used),
        _ if row.try_get("expired")? => Some(Redemption::Expired),
        // The client lost its redirect URI since.
        _ if row.try_get::<_, Option<&str>>("redirect_uri")?.is_none() => Some(Redemption::Cancelled),
        // Its app answers to the fixed verifier only, and the deployment no longer has one.
        _ if row.try_get("static_pkce")? && code.static_challenge.is_none() => Some(Redemption::Cancelled),
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
            // Who brings a token that was sent by e-mail alone receives mail there.
            "WITH verified AS (
               UPDATE app_user u SET email_verified_at = clock_timestamp()
                 FROM invitation i JOIN patient p ON p.id = i.patient_id
                WHERE i.id = $1 AND i.emailed AND u.id = p.user_id AND u.email_verified_at IS NULL
             ), redeemed AS (
               UPDATE invitation
                  SET status = 'redeemed', redeemed_at = clock_timestamp(), last_updated = clock_timestamp(), redeemed_from = $2
                WHERE id = $1 RETURNING *
             )
             SELECT to_jsonb(i) - 'token_hash', to_jsonb(r) - 'token_hash' FROM redeemed r JOIN invitation i ON i.id = r.id",
        )
        .await?;
    let marked = transaction.query_one(&mark, &[&row.try_get::<_, i32>("id")?, &context.source_address]).await?;
    let redeemed = Redeemed {
        organizations: row.try_get("organizations")?,
        before: marked.try_get(0)?,
        after: marked.try_get(1)?,
    };
    let static_pkce: bool = row.try_get("static_pkce")?;
    let client_row: i32 = row.try_get("client_row")?;
    let redirect_uri: String = row.try_get("redirect_uri")?;
    let code = NewCode {
        hash: code.hash,
        user: UserId(row.try_get("user_id")?),
        client: client_row,
        scope: &scope_of(row, "scope")?,
        audience: &Audience::default(),
        auth_time: code.now,
        methods: &[],
        redirect_uri: &redirect_uri,
        challenge: code.static_challenge.filter(|_| static_pkce).unwrap_or(code.challenge),
        nonce: None,
        key: None,
        expires_at: code.expires_at,
    };
    insert_code(transaction, context, &code, Some(&redeemed)).await?;
    let client_id = row.try_get("client_id")?;
    Ok(Redemption::Redeemed { client_id, redirect_uri, static_pkce: static_pkce.then_some(client_row) })
}
