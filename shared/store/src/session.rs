//! Sign-ins: passwords tried, and the browser sessions that the right ones start.

use crate::{Store, StoreError, oauth::ACTING};
use audit::Context;
use authz::UserId;
use jiff::Timestamp;
use oauth::TokenHash;
use tokio_postgres::types::{Json, Type};

/// What a sign-in needs of an account.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user.
    pub id: UserId,
    /// The Argon2id hash of the password in PHC format; none when no password was ever set.
    pub password_hash: Option<String>,
}

/// Whether a password may be tried now.
#[derive(Clone, Debug)]
pub enum LoginAttempt {
    /// Yes. The attempt counts as failed until a session starts. None: there is no such account.
    Counted(Option<Account>),
    /// Too many failed in a row: not before so many seconds.
    Blocked(u32),
}

/// A browser's session to start.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// The hash of the session's token.
    pub token: TokenHash,
    /// Who signed in.
    pub user: UserId,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
    /// The key under which the account's failures are counted: they end.
    pub account_hash: &'a [u8; 32],
    /// The session that the browser had before: it ends.
    pub replaces: Option<TokenHash>,
}

/// A browser's login.
#[derive(Clone, Copy, Debug)]
pub struct LoginSession {
    /// Who is logged in.
    pub user: UserId,
    /// Since when.
    pub started_at: Timestamp,
}

/// Counts the attempt before the password is looked at, so that attempts sent at the same time count too. The row
/// lock of the upsert lets through no more than the limit in a window. A blocked attempt does not prolong the wait.
const BEGIN_LOGIN: &str = "
WITH attempt AS (
  INSERT INTO login_failure AS f (account_hash, failures, last_failure) VALUES ($2, 1, clock_timestamp())
  ON CONFLICT (account_hash) DO UPDATE
     SET failures = CASE WHEN f.last_failure <= clock_timestamp() - $4 * interval '1 second' THEN 1 ELSE f.failures + 1 END,
         last_failure = clock_timestamp()
   WHERE f.failures < $3 OR f.last_failure <= clock_timestamp() - $4 * interval '1 second'
  RETURNING 1
)
SELECT EXISTS (SELECT FROM attempt) AS counted,
       greatest(1, least($4, ceil(coalesce(
         $4 - extract(epoch FROM clock_timestamp() - (SELECT last_failure FROM login_failure WHERE account_hash = $2)),
         $4))))::int AS wait,
       u.id, u.password_hash
  FROM (VALUES ($1)) asked (email)
  LEFT JOIN app_user u ON lower(u.email) = asked.email AND u.is_active";

impl Store {
    /// Counts an attempt to sign in, and finds the active account, in one statement. `email` is in lower case and
    /// `account_hash` is its hash, so that no other spelling of one account is counted apart. After `limit` failures
    /// in a row nobody may try for `window_seconds` since the last one.
    pub async fn begin_login(
        &self,
        email: &str,
        account_hash: &[u8; 32],
        limit: i32,
        window_seconds: i32,
    ) -> Result<LoginAttempt, StoreError> {
        let client = self.connection().await?;
        let statement =
            client.prepare_typed_cached(BEGIN_LOGIN, &[Type::TEXT, Type::BYTEA, Type::INT4, Type::INT4]).await?;
        let row = client.query_one(&statement, &[&email, &account_hash.as_slice(), &limit, &window_seconds]).await?;
        if !row.try_get::<_, bool>("counted")? {
            let wait: i32 = row.try_get("wait")?;
            return Ok(LoginAttempt::Blocked(wait.unsigned_abs()));
        }
        let account = match row.try_get::<_, Option<i32>>("id")? {
            None => None,
            Some(id) => Some(Account { id: UserId(id), password_hash: row.try_get("password_hash")? }),
        };
        Ok(LoginAttempt::Counted(account))
    }

    /// Starts a browser's session after a right password, with its audit record, in one statement.
    pub async fn start_session(&self, context: &Context, session: &NewSession<'_>) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH started AS (
                       INSERT INTO login_session (token_hash, user_id, expires_at) VALUES ($2, $3, $4)
                     ), forgiven AS (
                       DELETE FROM login_failure WHERE account_hash = $5
                     ), ended AS (
                       DELETE FROM login_session WHERE token_hash = $6
                     )
                     SELECT audit_record($1 || {ACTING}, 'allowed', NULL, '{{}}', '{{}}',
                                         ARRAY(SELECT id FROM patient WHERE user_id = u.id), '{{}}')
                       FROM app_user u WHERE u.id = $3"
                ),
                &[Type::JSONB, Type::BYTEA, Type::INT4, Type::TIMESTAMPTZ, Type::BYTEA, Type::BYTEA],
            )
            .await?;
        let replaces = session.replaces.as_ref().map(|token| token.as_bytes().as_slice());
        client
            .query_one(
                &statement,
                &[
                    &Json(context),
                    &session.token.as_bytes().as_slice(),
                    &session.user.0,
                    &session.expires_at,
                    &session.account_hash.as_slice(),
                    &replaces,
                ],
            )
            .await?;
        Ok(())
    }

    /// The session with this token, while it lasts.
    pub async fn session(&self, token: &TokenHash) -> Result<Option<LoginSession>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT s.user_id, s.started_at FROM login_session s JOIN app_user u ON u.id = s.user_id
                  WHERE s.token_hash = $1 AND s.expires_at > statement_timestamp() AND u.is_active",
            )
            .await?;
        let row = client.query_opt(&statement, &[&token.as_bytes().as_slice()]).await?;
        row.map(|row| Ok(LoginSession { user: UserId(row.try_get(0)?), started_at: row.try_get(1)? })).transpose()
    }

    /// Ends a session, with its audit record, in one statement. A token that is none ends nothing.
    pub async fn end_session(&self, context: &Context, token: &TokenHash) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH ended AS (DELETE FROM login_session WHERE token_hash = $2 RETURNING user_id)
                     SELECT audit_record($1 || {ACTING}, 'allowed', NULL, '{{}}', '{{}}',
                                         ARRAY(SELECT id FROM patient WHERE user_id = u.id), '{{}}')
                       FROM ended e JOIN app_user u ON u.id = e.user_id"
                ),
                &[Type::JSONB, Type::BYTEA],
            )
            .await?;
        client.execute(&statement, &[&Json(context), &token.as_bytes().as_slice()]).await?;
        Ok(())
    }
}
