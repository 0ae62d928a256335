//! Tokens by name: issued to a client for the account it acts as, introspected, revoked.

use crate::{Store, StoreError, account::is_strong_enough, oauth::ACTING};
use audit::{Context, RefusedBy};
use authz::{Layer, UserId};
use jiff::Timestamp;
use oauth::{
    Scope, TokenHash,
    dpop::Thumbprint,
    introspection::{LiveToken, TokenKind},
    resource::Audience,
};
use tokio_postgres::types::{Json, Type};

/// An access token to store for a client that acts by its own credentials, or for a person another provider vouches for.
#[derive(Debug)]
pub struct NewAccess<'a> {
    /// The client's row.
    pub client: i32,
    /// The practitioner who signed in at another provider. None: the account that the client acts as.
    pub person: Option<SignedInElsewhere>,
    /// What is granted.
    pub scope: &'a Scope,
    /// What the token is for.
    pub audience: &'a Audience,
    /// The token's hash.
    pub hash: TokenHash,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
    /// The key that it is bound to.
    pub key: Option<&'a Thumbprint>,
}

/// A person who signed in at another provider.
#[derive(Clone, Copy, Debug)]
pub struct SignedInElsewhere {
    /// Who.
    pub user: UserId,
    /// When.
    pub at: Timestamp,
    /// Whether by two factors.
    pub by_two_factors: bool,
}

/// What became of a token that was to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// It is worth nothing now, nor what came from it.
    Revoked,
    /// It was issued to another client.
    NotOwn,
    /// There is no such token.
    Unknown,
}

const ISSUE: &str = "
WITH acting AS MATERIALIZED (
  SELECT u.id, u.user_type, u.is_superuser
    FROM oauth_client c JOIN app_user u ON u.id = coalesce($8, c.acts_as) JOIN practitioner p ON p.user_id = u.id
   WHERE c.id = $2 AND c.deleted_at IS NULL AND c.contained_at IS NULL AND u.is_active AND NOT u.is_superuser
), granted AS (
  INSERT INTO oauth_grant (user_id, client_id, scope, auth_time, audience, methods)
  SELECT id, $2, $3, coalesce($9, clock_timestamp()), $7, CASE WHEN $10 THEN '{mfa}'::text[] ELSE '{}' END FROM acting RETURNING id
), issued AS (
  INSERT INTO access_token (token_hash, grant_id, scope, expires_at, dpop_jkt, audience) SELECT $4, id, $3, $5, $6, $7 FROM granted
)";

/// 1 the token's hash, 2 whether super admins need a second factor.
fn live() -> String {
    let strong_enough = is_strong_enough("g.methods", "$2");
    format!(
        "
SELECT 'access' AS kind, g.client_id AS client, c.client_id, g.user_id,
       array_to_string(ARRAY(SELECT one FROM unnest(string_to_array(t.scope, ' ')) one
                              WHERE one = ANY (string_to_array(g.scope, ' '))), ' ') AS scope, t.audience, t.issued_at, t.expires_at, t.dpop_jkt,
       g.auth_time, g.methods
  FROM access_token t JOIN oauth_grant g ON g.id = t.grant_id
  JOIN oauth_client c ON c.id = g.client_id AND c.deleted_at IS NULL AND c.contained_at IS NULL JOIN app_user u ON u.id = g.user_id AND u.is_active
 WHERE t.token_hash = $1 AND t.expires_at > statement_timestamp() AND t.revoked_at IS NULL AND g.revoked_at IS NULL
   AND (c.acts_as IS NOT DISTINCT FROM g.user_id AND g.methods = '{{}}' OR {strong_enough})
UNION ALL
SELECT 'refresh', g.client_id, c.client_id, g.user_id, g.scope, g.audience, r.issued_at, r.expires_at, r.dpop_jkt,
       g.auth_time, g.methods
  FROM refresh_token r JOIN oauth_grant g ON g.id = r.grant_id
  JOIN oauth_client c ON c.id = g.client_id AND c.deleted_at IS NULL AND c.contained_at IS NULL JOIN app_user u ON u.id = g.user_id AND u.is_active
 WHERE r.token_hash = $1 AND r.expires_at > statement_timestamp() AND r.used_at IS NULL AND g.revoked_at IS NULL
   AND {strong_enough}"
    )
}

/// 1 audit context, 2 the client, 3 the token's hash, 4 the reason of a refusal. A refresh token stands for its grant.
const REVOKE: &str = "
WITH found AS MATERIALIZED (
  SELECT t.grant_id, false AS whole, g.client_id = $2 AS own, g.user_id
    FROM access_token t JOIN oauth_grant g ON g.id = t.grant_id WHERE t.token_hash = $3
  UNION ALL
  SELECT r.grant_id, true, g.client_id = $2, g.user_id
    FROM refresh_token r JOIN oauth_grant g ON g.id = r.grant_id WHERE r.token_hash = $3
), ended AS (
  UPDATE oauth_grant g SET revoked_at = clock_timestamp() FROM found f
   WHERE f.own AND f.whole AND g.id = f.grant_id AND g.revoked_at IS NULL
), revoked AS (
  UPDATE access_token t SET revoked_at = clock_timestamp() FROM found f
   WHERE f.own AND NOT f.whole AND t.token_hash = $3 AND t.revoked_at IS NULL
)";

impl Store {
    /// Issues an access token for the account of a practitioner, that the client acts as or that signed in elsewhere, with the audit record, in one
    /// statement. False: the account is not active, or not a practitioner's, and nothing is issued. A super admin is not
    /// acted as: their second factor must not be replaced by a client's secret.
    pub async fn issue_to_client(&self, context: &Context, new: &NewAccess<'_>) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "{ISSUE}
                     SELECT audit_record($1 || {ACTING}, 'allowed', NULL, '{{}}', '{{}}', '{{}}', '{{}}') FROM acting u"
                ),
                &[
                    Type::JSONB,
                    Type::INT4,
                    Type::TEXT,
                    Type::BYTEA,
                    Type::TIMESTAMPTZ,
                    Type::TEXT,
                    Type::TEXT_ARRAY,
                    Type::INT4,
                    Type::TIMESTAMPTZ,
                    Type::BOOL,
                ],
            )
            .await?;
        let scope = new.scope.to_string();
        let hash = new.hash.as_bytes().as_slice();
        let issued = client
            .query_opt(
                &statement,
                &[
                    &Json(context),
                    &new.client,
                    &scope,
                    &hash,
                    &new.expires_at,
                    &new.key.map(Thumbprint::as_str),
                    &new.audience.uris(),
                    &new.person.map(|person| person.user.0),
                    &new.person.map(|person| person.at),
                    &new.person.is_some_and(|person| person.by_two_factors),
                ],
            )
            .await?;
        Ok(issued.is_some())
    }

    /// The token with this hash, if it is good now.
    pub async fn live_token(
        &self,
        hash: &TokenHash,
        super_admins_need_factor: bool,
    ) -> Result<Option<LiveToken>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(&live(), &[Type::BYTEA, Type::BOOL]).await?;
        let hash = hash.as_bytes().as_slice();
        let Some(row) = client.query_opt(&statement, &[&hash, &super_admins_need_factor]).await? else {
            return Ok(None);
        };
        Ok(Some(LiveToken {
            kind: if row.try_get::<_, &str>("kind")? == "access" { TokenKind::Access } else { TokenKind::Refresh },
            client: row.try_get("client")?,
            client_id: row.try_get("client_id")?,
            user: row.try_get("user_id")?,
            scope: row.try_get("scope")?,
            audience: Audience::of(row.try_get("audience")?),
            issued_at: row.try_get("issued_at")?,
            expires_at: row.try_get("expires_at")?,
            key: row.try_get("dpop_jkt")?,
            auth_time: row.try_get("auth_time")?,
            methods: row.try_get("methods")?,
        }))
    }

    /// Revokes a token of this client, with the audit record, in one statement: a refresh token with its whole grant, an
    /// access token alone. A grant that a refresh renews at the same time is revoked all the same: its new tokens are its own.
    pub async fn revoke_token(
        &self,
        context: &Context,
        client_id: i32,
        hash: &TokenHash,
    ) -> Result<Revocation, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "{REVOKE}
                     SELECT f.own,
                            audit_record(CASE WHEN f.own THEN $1 || {ACTING} ELSE $1 END,
                                         CASE WHEN f.own THEN 'allowed' ELSE 'denied' END, CASE WHEN f.own THEN NULL ELSE $4 END,
                                         '{{}}', '{{}}', ARRAY(SELECT id FROM patient WHERE user_id = u.id), '{{}}')
                       FROM found f JOIN app_user u ON u.id = f.user_id"
                ),
                &[Type::JSONB, Type::INT4, Type::BYTEA, Type::TEXT],
            )
            .await?;
        let reason = RefusedBy::Layer(Layer::Token).name();
        let row =
            client.query_opt(&statement, &[&Json(context), &client_id, &hash.as_bytes().as_slice(), &reason]).await?;
        Ok(match row.map(|row| row.try_get::<_, bool>("own")).transpose()? {
            Some(true) => Revocation::Revoked,
            Some(false) => Revocation::NotOwn,
            None => Revocation::Unknown,
        })
    }
}
