//! Browser sessions, and the open second step before one.

use crate::{
    Outsider, Store, StoreError,
    account::is_strong_enough,
    oauth::{ACTING, scope_of},
};
use audit::Context;
use authz::{GrantId, UserId};
use jiff::Timestamp;
use oauth::{Scope, TokenHash, resource::Audience};
use tokio_postgres::types::{Json, Type};

/// A browser's session to start.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// The hash of the session's token.
    pub token: TokenHash,
    /// Who signed in.
    pub user: UserId,
    /// From when on it is worth nothing, however much it is used.
    pub expires_at: Timestamp,
    /// The session that the browser had before: it ends.
    pub replaces: Option<TokenHash>,
    /// The second step that is open in the browser: it ends.
    pub challenge: Option<TokenHash>,
    /// Whether the sign-in is that of the open second step.
    pub completes: bool,
    /// The kind of browser, for the list of sessions.
    pub browser: &'a str,
    /// How the person signed in (RFC 8176).
    pub methods: &'a [&'a str],
    /// The identity provider that the person signed in at, without a second step here.
    pub origin: Option<Origin<'a>>,
}

/// A sign-in at an identity provider.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Whose session it is there.
    pub person: Outsider<'a>,
    /// When that ends; the session here ends with it.
    pub ends_at: Option<Timestamp>,
    /// When the person signed in there.
    pub authenticated_at: Timestamp,
}

/// A browser's login.
#[derive(Clone, Debug)]
pub struct LoginSession {
    /// Who is logged in.
    pub user: UserId,
    /// When the person proved who they are.
    pub started_at: Timestamp,
    /// How (RFC 8176); `email` when a code by e-mail was typed since.
    pub methods: Vec<String>,
}

/// A session in the list of one's own.
#[derive(Clone, Debug)]
pub struct SessionEntry {
    /// The hash of its token.
    pub token: TokenHash,
    /// The kind of browser.
    pub browser: String,
    /// Since when.
    pub started_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Timestamp,
}

/// An app's access in the list of one's own.
#[derive(Clone, Debug)]
pub struct GrantEntry {
    /// The grant.
    pub id: GrantId,
    /// The app's name.
    pub client: String,
    /// Since when.
    pub granted_at: Timestamp,
    /// When the app last renewed its access.
    pub renewed_at: Option<Timestamp>,
    /// What the app may do.
    pub scope: Scope,
    /// Where else than here it uses the access.
    pub audience: Audience,
    /// Whether it acts for the user in everything when the scope does not say less.
    pub whole_access: bool,
    /// Until when the access lasts if it is not renewed.
    pub expires_at: Timestamp,
}

/// A new session: $2 token, $3 user, $4 its end, $5 browser, $6 methods, $7 the session that it replaces, $8 the second
/// step that is open in the browser, $12 whether this completes it. $9 to $11 are of an identity provider, or else they are in
/// that second step. Such a session is no younger than the sign-in there, and ends with it.
const START: &str = "
WITH origin AS (
  SELECT person, ends_at, authenticated_at FROM login_challenge WHERE $12 AND token_hash = $8 AND user_id = $3
  UNION ALL SELECT $9, $10, $11 WHERE $9 IS NOT NULL
), one AS (
  SELECT * FROM origin WHERE person IS NOT NULL LIMIT 1
), started AS (
  INSERT INTO login_session (token_hash, user_id, expires_at, browser, methods, started_at)
  SELECT $2, $3, least($4, (SELECT ends_at FROM one)), $5, $6,
         least(clock_timestamp(), (SELECT authenticated_at FROM one))
), linked AS (
  INSERT INTO linked_session (token_hash, issuer, name_id, name_format, name_qualifier, sp_name_qualifier, session_index)
  SELECT $2, p.issuer, p.name, p.parts->>0, p.parts->>1, p.parts->>2, p.session_index
    FROM one, jsonb_to_record(one.person) AS p (issuer text, name text, parts jsonb, session_index text)
), vouched AS (
  UPDATE app_user u SET email_verified_at = clock_timestamp() FROM one WHERE u.id = $3 AND u.email_verified_at IS NULL
), replaced AS (
  DELETE FROM login_session WHERE token_hash = $7
), completed AS (
  DELETE FROM login_challenge WHERE token_hash = $8
)";

/// A session that was not used for $2 seconds has ended; one by a single factor counts no more once the account must have
/// two ($3: super admins must). The use is written at most once a minute.
fn session_statement() -> String {
    format!(
        "WITH used AS (
  UPDATE login_session SET last_used_at = clock_timestamp()
   WHERE token_hash = $1 AND expires_at > clock_timestamp()
     AND last_used_at > clock_timestamp() - $2 * interval '1 second'
     AND last_used_at < clock_timestamp() - interval '1 minute'
)
SELECT s.user_id, s.started_at, s.methods FROM login_session s JOIN app_user u ON u.id = s.user_id
 WHERE s.token_hash = $1 AND s.expires_at > statement_timestamp()
   AND s.last_used_at > statement_timestamp() - $2 * interval '1 second' AND u.is_active AND {}",
        is_strong_enough("s.methods", "$3")
    )
}

/// Ends all that is open of the user $2, except the session $3.
pub(crate) const ENDED: &str = "
sessions AS (DELETE FROM login_session WHERE user_id = $2 AND token_hash IS DISTINCT FROM $3),
challenges AS (DELETE FROM login_challenge WHERE user_id = $2),
grants AS (UPDATE oauth_grant SET revoked_at = clock_timestamp() WHERE user_id = $2 AND revoked_at IS NULL)";

/// Records what the user `u` did to the own account; $1 is the context.
pub(crate) fn recorded() -> String {
    format!(
        "SELECT audit_record($1 || {ACTING}, 'allowed', NULL, '{{}}', '{{}}',
                             ARRAY(SELECT id FROM patient WHERE user_id = u.id), '{{}}')"
    )
}

impl Store {
    /// Starts a browser's session, with its audit record, in one statement.
    pub async fn start_session(&self, context: &Context, session: &NewSession<'_>) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!("{START} {} FROM app_user u WHERE u.id = $3", recorded()),
                &[
                    Type::JSONB,
                    Type::BYTEA,
                    Type::INT4,
                    Type::TIMESTAMPTZ,
                    Type::TEXT,
                    Type::TEXT_ARRAY,
                    Type::BYTEA,
                    Type::BYTEA,
                    Type::JSONB,
                    Type::TIMESTAMPTZ,
                    Type::TIMESTAMPTZ,
                    Type::BOOL,
                ],
            )
            .await?;
        let hash = |token: &Option<TokenHash>| token.as_ref().map(|token| token.as_bytes().to_vec());
        client
            .query_one(
                &statement,
                &[
                    &Json(context),
                    &session.token.as_bytes().as_slice(),
                    &session.user.0,
                    &session.expires_at,
                    &session.browser,
                    &session.methods,
                    &hash(&session.replaces),
                    &hash(&session.challenge),
                    &session.origin.as_ref().map(|origin| Json(&origin.person)),
                    &session.origin.and_then(|origin| origin.ends_at),
                    &session.origin.map(|origin| origin.authenticated_at),
                    &session.completes,
                ],
            )
            .await?;
        Ok(())
    }

    /// The session with this token, while it lasts and is used, and is as strong as the account asks for.
    pub async fn session(
        &self,
        token: &TokenHash,
        idle_seconds: i32,
        super_admins_need_factor: bool,
    ) -> Result<Option<LoginSession>, StoreError> {
        let client = self.connection().await?;
        let types = [Type::BYTEA, Type::INT4, Type::BOOL];
        let statement = client.prepare_typed_cached(&session_statement(), &types).await?;
        let token = token.as_bytes().as_slice();
        let row = client.query_opt(&statement, &[&token, &idle_seconds, &super_admins_need_factor]).await?;
        row.map(|row| {
            Ok(LoginSession { user: UserId(row.try_get(0)?), started_at: row.try_get(1)?, methods: row.try_get(2)? })
        })
        .transpose()
    }

    /// Ends a session, with its audit record, in one statement: of `user`, or of whoever has the token. A token that is
    /// none ends nothing.
    pub async fn end_session(
        &self,
        context: &Context,
        token: &TokenHash,
        user: Option<UserId>,
    ) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH ended AS (
                       DELETE FROM login_session WHERE token_hash = $2 AND ($3 IS NULL OR user_id = $3) RETURNING user_id
                     )
                     {} FROM ended e JOIN app_user u ON u.id = e.user_id",
                    recorded()
                ),
                &[Type::JSONB, Type::BYTEA, Type::INT4],
            )
            .await?;
        let user = user.map(|user| user.0);
        client.execute(&statement, &[&Json(context), &token.as_bytes().as_slice(), &user]).await?;
        Ok(())
    }

    /// Ends an app's access, with its audit record, in one statement. Another user's grant is none.
    pub async fn end_grant(&self, context: &Context, user: UserId, grant: GrantId) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH ended AS (
                       UPDATE oauth_grant SET revoked_at = clock_timestamp()
                        WHERE id = $2 AND user_id = $3 AND revoked_at IS NULL
                       RETURNING user_id
                     )
                     {} FROM ended e JOIN app_user u ON u.id = e.user_id",
                    recorded()
                ),
                &[Type::JSONB, Type::INT8, Type::INT4],
            )
            .await?;
        client.execute(&statement, &[&Json(context), &grant.0, &user.0]).await?;
        Ok(())
    }

    /// Leaves an app of a user no more than `scope` of what it has, with the audit record, in one statement. Its tokens open no
    /// more from the next request on. False: it is not what it was, or not theirs.
    pub async fn narrow_grant(
        &self,
        context: &Context,
        user: UserId,
        grant: GrantId,
        (was, scope): (&Scope, &Scope),
    ) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH narrowed AS (
                       UPDATE oauth_grant SET scope = $5 WHERE id = $2 AND user_id = $3 AND revoked_at IS NULL AND scope = $4
                       RETURNING user_id
                     )
                     {} FROM narrowed n JOIN app_user u ON u.id = n.user_id",
                    recorded()
                ),
                &[Type::JSONB, Type::INT8, Type::INT4, Type::TEXT, Type::TEXT],
            )
            .await?;
        let (was, scope) = (was.to_string(), scope.to_string());
        Ok(client.query_opt(&statement, &[&Json(context), &grant.0, &user.0, &was, &scope]).await?.is_some())
    }

    /// Ends every session of a user except one, and the access of every app, with the audit record, in one statement.
    pub async fn end_everything(&self, context: &Context, user: UserId, keep: &TokenHash) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!("WITH {ENDED} {} FROM app_user u WHERE u.id = $2", recorded()),
                &[Type::JSONB, Type::INT4, Type::BYTEA],
            )
            .await?;
        client.query_one(&statement, &[&Json(context), &user.0, &keep.as_bytes().as_slice()]).await?;
        Ok(())
    }

    /// The sessions of a user, the last used first.
    pub async fn sessions(&self, user: UserId, idle_seconds: i32) -> Result<Vec<SessionEntry>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                "SELECT token_hash, browser, started_at, last_used_at FROM login_session
                  WHERE user_id = $1 AND expires_at > statement_timestamp()
                    AND last_used_at > statement_timestamp() - $2 * interval '1 second'
                  ORDER BY last_used_at DESC, started_at DESC LIMIT 100",
                &[Type::INT4, Type::INT4],
            )
            .await?;
        let rows = client.query(&statement, &[&user.0, &idle_seconds]).await?;
        rows.iter()
            .map(|row| {
                let token: &[u8] = row.try_get("token_hash")?;
                Ok(SessionEntry {
                    token: TokenHash::from_bytes(token.try_into().map_err(|_| StoreError::Corrupt("token_hash"))?),
                    browser: row.try_get("browser")?,
                    started_at: row.try_get("started_at")?,
                    last_used_at: row.try_get("last_used_at")?,
                })
            })
            .collect()
    }

    /// The apps that have access as a user, the latest first: those with a token that works or can be renewed.
    pub async fn grants(&self, user: UserId) -> Result<Vec<GrantEntry>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT g.id, c.name, c.whole_access, g.granted_at, g.scope, g.audience, live.expires_at,
                        (SELECT max(used_at) FROM refresh_token WHERE grant_id = g.id) AS renewed_at
                   FROM oauth_grant g JOIN oauth_client c ON c.id = g.client_id
                   CROSS JOIN LATERAL (
                     SELECT max(t.expires_at) AS expires_at
                       FROM (SELECT expires_at FROM access_token WHERE grant_id = g.id AND revoked_at IS NULL
                             UNION ALL
                             SELECT expires_at FROM refresh_token WHERE grant_id = g.id AND used_at IS NULL) t) live
                  WHERE g.user_id = $1 AND g.revoked_at IS NULL AND live.expires_at > statement_timestamp()
                  ORDER BY g.granted_at DESC, g.id DESC LIMIT 100",
            )
            .await?;
        let rows = client.query(&statement, &[&user.0]).await?;
        rows.iter()
            .map(|row| {
                Ok(GrantEntry {
                    id: GrantId(row.try_get("id")?),
                    client: row.try_get("name")?,
                    granted_at: row.try_get("granted_at")?,
                    renewed_at: row.try_get("renewed_at")?,
                    scope: scope_of(row, "scope")?,
                    audience: Audience::of(row.try_get("audience")?),
                    whole_access: row.try_get("whole_access")?,
                    expires_at: row.try_get("expires_at")?,
                })
            })
            .collect()
    }
}
