//! Signing out at a client's wish.

use crate::{Store, StoreError, oauth::ACTING};
use audit::Context;
use oauth::TokenHash;
use tokio_postgres::types::{Json, Type};

/// What signing out needs of a client.
#[derive(Clone, Debug)]
pub struct LogoutClient {
    /// The client's row.
    pub id: i32,
    /// The name shown to users.
    pub name: String,
    /// Where a browser may be sent afterwards.
    pub post_logout_redirect_uris: Vec<String>,
}

/// 1 audit context, 2 session, 3 client or none. What the client got from this login ends with it, but for what was granted
/// to go on without the user (OpenID Connect RP-Initiated Logout 1.0 section 2.1).
const END: &str = "
WITH ended AS (
  DELETE FROM login_session WHERE token_hash = $2 RETURNING user_id, started_at
), revoked AS (
  UPDATE oauth_grant g SET revoked_at = clock_timestamp() FROM ended e
   WHERE g.user_id = e.user_id AND g.client_id = $3 AND g.auth_time = e.started_at AND g.revoked_at IS NULL
     AND NOT 'offline_access' = ANY (string_to_array(g.scope, ' '))
)";

impl Store {
    /// The client with this `client_id`.
    pub async fn logout_client(&self, client_id: &str) -> Result<Option<LogoutClient>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached("SELECT id, name, post_logout_redirect_uris FROM oauth_client WHERE client_id = $1 AND deleted_at IS NULL")
            .await?;
        let row = client.query_opt(&statement, &[&client_id]).await?;
        row.map(|row| {
            Ok(LogoutClient {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
                post_logout_redirect_uris: row.try_get("post_logout_redirect_uris")?,
            })
        })
        .transpose()
    }

    /// Ends a session at the wish of a client (its row), with the tokens that the client got from it and the audit record, in
    /// one statement. A token that is no session's ends nothing.
    pub async fn end_session_for(
        &self,
        context: &Context,
        token: &TokenHash,
        client_row: Option<i32>,
    ) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "{END} SELECT audit_record($1 || {ACTING} || jsonb_build_object('client_id', $3), 'allowed', NULL, '{{}}', '{{}}',
                                               ARRAY(SELECT id FROM patient WHERE user_id = u.id), '{{}}')
                       FROM ended e JOIN app_user u ON u.id = e.user_id"
                ),
                &[Type::JSONB, Type::BYTEA, Type::INT4],
            )
            .await?;
        client.execute(&statement, &[&Json(context), &token.as_bytes().as_slice(), &client_row]).await?;
        Ok(())
    }
}
