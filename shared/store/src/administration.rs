//! What a super admin ends for somebody else.

use crate::{Store, StoreError, session::ENDED};
use audit::Context;
use authz::UserId;
use tokio_postgres::types::{Json, Type};

/// Records what a super admin did to the user $2, whom the patient that they may be can read.
const RECORDED: &str = "
SELECT u.email, audit_record($1 || jsonb_build_object('detail', jsonb_build_object('user_id', u.id)), 'allowed', NULL,
                             '{}', '{}', ARRAY(SELECT id FROM patient WHERE user_id = u.id), '{}')
  FROM app_user u WHERE u.id = $2";

/// Ends everything of everybody, and records that once.
const END_ALL: &str = "
WITH sessions AS (DELETE FROM login_session), challenges AS (DELETE FROM login_challenge),
     grants AS (UPDATE oauth_grant SET revoked_at = clock_timestamp() WHERE revoked_at IS NULL)
SELECT audit_record($1 || '{\"detail\": {\"users\": \"all\"}}', 'allowed', NULL, '{}', '{}', '{}', '{}')";

impl Store {
    /// Ends all sessions and sign-ins of a user, and the access of all their apps, with the audit record, in one statement.
    /// False: there is no such user.
    pub async fn end_access_of(&self, context: &Context, user: UserId) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(&format!("WITH {ENDED} {RECORDED}"), &[Type::JSONB, Type::INT4, Type::BYTEA])
            .await?;
        let nothing: Option<&[u8]> = None;
        Ok(client.query_opt(&statement, &[&Json(context), &user.0, &nothing]).await?.is_some())
    }

    /// Ends all sessions, sign-ins and access of apps of everybody, with the audit record, in one statement.
    pub async fn end_everybodys_access(&self, context: &Context) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(END_ALL, &[Type::JSONB]).await?;
        client.query_one(&statement, &[&Json(context)]).await?;
        Ok(())
    }

    /// Removes all second factors of a user and their recovery codes, and ends what is open, with the audit record, in one
    /// statement. The address of the account; none when there is no such user.
    pub async fn remove_all_factors(&self, context: &Context, user: UserId) -> Result<Option<String>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH {ENDED},
                          authenticators AS (DELETE FROM totp_factor WHERE user_id = $2),
                          passkeys AS (DELETE FROM passkey WHERE user_id = $2),
                          codes AS (DELETE FROM recovery_code WHERE user_id = $2)
                     {RECORDED}"
                ),
                &[Type::JSONB, Type::INT4, Type::BYTEA],
            )
            .await?;
        let nothing: Option<&[u8]> = None;
        let row = client.query_opt(&statement, &[&Json(context), &user.0, &nothing]).await?;
        row.map(|row| Ok(row.try_get("email")?)).transpose()
    }
}
