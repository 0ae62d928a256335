//! Clients as they are registered: by super admins, and by practitioners for themselves. Only hashes of secrets are
//! stored.

mod list;
pub(crate) mod own;

use crate::{Changed, Expected, Store, StoreError, oauth::ACTING};
use audit::Context;
use authz::{PractitionerId, UserId};
use jiff::Timestamp;
use oauth::TokenHash;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::{
    Row,
    types::{Json, ToSql, Type},
};

/// What every user may know of a client.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientSummary {
    /// The row, from 1.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// Its `client_id`.
    pub client_id: String,
    /// The link in invitations, with `CODE` where the code goes.
    pub invitation_url: Option<String>,
}

/// A client as registered. Secrets are not part of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct RegisteredClient {
    /// What every user may know.
    #[serde(flatten)]
    pub summary: ClientSummary,
    /// Where responses may be sent.
    pub redirect_uris: Vec<String>,
    /// What it may send to the token endpoint.
    pub grant_types: Vec<String>,
    /// The most it may ask for.
    pub scopes: Vec<String>,
    /// How it proves who it is.
    pub token_endpoint_auth_method: String,
    /// Its public keys.
    pub jwks: Option<Value>,
    /// Where its public keys are.
    pub jwks_uri: Option<String>,
    /// Whether users are not asked to agree.
    pub skip_authorization: bool,
    /// The URI by which others name it, if it serves resources.
    pub resource_uri: Option<String>,
    /// Whether its tokens without SMART scopes have all the access of their users.
    pub whole_access: bool,
    /// Whether its authorization requests count only when they are pushed.
    pub require_pushed_authorization_requests: bool,
    /// Whether its users type a code that is sent to them by e-mail.
    pub email_code: bool,
    /// Whether its apps answer to the deployment's fixed PKCE pair.
    pub static_pkce: bool,
    /// Where a browser may be sent after it signed out.
    pub post_logout_redirect_uris: Vec<String>,
    /// The account for which it gets tokens by its own credentials.
    pub acts_as: Option<i32>,
    /// The practitioner's account that made it for itself.
    pub owned_by: Option<i32>,
    /// When it was registered, if that is known.
    pub created: Option<Timestamp>,
    /// When the registration last changed.
    #[serde(skip)]
    pub last_updated: Timestamp,
}

/// A client to register, or what a registered one is to become.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct ClientRecord<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where responses may be sent.
    pub redirect_uris: &'a [String],
    /// What it may send to the token endpoint.
    pub grant_types: &'a [&'static str],
    /// The most it may ask for.
    pub scopes: &'a [String],
    /// How it proves who it is.
    pub auth_method: &'static str,
    /// Its public keys.
    pub jwks: Option<&'a Value>,
    /// Where its public keys are.
    pub jwks_uri: Option<&'a str>,
    /// Whether users are not asked to agree.
    pub skip_authorization: bool,
    /// The URI by which others name it, if it serves resources.
    pub resource_uri: Option<&'a str>,
    /// Whether its tokens without SMART scopes have all the access of their users.
    pub whole_access: bool,
    /// Whether its authorization requests count only when they are pushed.
    pub requires_pushed_requests: bool,
    /// Whether its users type a code that is sent to them by e-mail.
    pub email_code: bool,
    /// Whether its apps answer to the deployment's fixed PKCE pair.
    pub static_pkce: bool,
    /// Where a browser may be sent after it signed out.
    pub post_logout_redirect_uris: &'a [String],
    /// The link in invitations.
    pub invitation_url: Option<&'a str>,
    /// The account that it acts as.
    pub acts_as: Option<i32>,
}

/// What came of registering a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientRegistration {
    /// It is this row.
    Done(i32),
    /// There is no account that it could act as.
    NoAccount,
    /// There is or was a client with this `client_id`.
    Taken,
}

/// What came of changing or ending a client that is there and is the expected version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientChange {
    /// It was changed.
    Done,
    /// There is no account that it could act as.
    NoAccount,
    /// A study invites its patients to it.
    InUse,
}

/// What becomes of a client's secret when the client is changed.
#[derive(Clone, Copy, Debug)]
pub enum SecretChange {
    /// It stays.
    Keep,
    /// There is none any more.
    Remove,
    /// It is this from now on.
    Replace(TokenHash),
}

/// A client that a practitioner made for themselves. The key is told once, when it is made.
#[derive(Clone, Debug, Serialize)]
pub struct OwnClient {
    /// The row.
    pub id: i32,
    /// What the practitioner calls it.
    pub label: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its name, as audits show it.
    pub name: String,
}

/// A practitioner's own client to store.
#[derive(Debug)]
pub struct NewOwnClient<'a> {
    /// The account that makes it, and that it acts as.
    pub user: UserId,
    /// The practitioner, for its name.
    pub practitioner: PractitionerId,
    /// What the practitioner calls it.
    pub label: &'a str,
    /// Its `client_id`.
    pub client_id: &'a str,
    /// The hash of its secret.
    pub secret: TokenHash,
    /// The most it may ask for.
    pub scopes: &'a [String],
    /// How many a practitioner may have.
    pub limit: i64,
}

/// The account that a client acts as is an active practitioner's, and no super admin's.
const ACTABLE: &str = "($13::int IS NULL OR EXISTS (
  SELECT FROM app_user u JOIN practitioner p ON p.user_id = u.id WHERE u.id = $13 AND u.is_active AND NOT u.is_superuser))";

/// The types of [`Values`]: 1 is the audit context, 2 the secret's hash, and from 3 on the [`ClientRecord`].
const TYPES: [Type; 18] = [
    Type::JSONB,
    Type::BYTEA,
    Type::TEXT,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT,
    Type::JSONB,
    Type::TEXT,
    Type::BOOL,
    Type::TEXT,
    Type::TEXT,
    Type::INT4,
    Type::BOOL,
    Type::TEXT_ARRAY,
    Type::BOOL,
    Type::BOOL,
    Type::BOOL,
];

/// What registering a client and changing one store alike, in a form that the driver can borrow.
struct Values<'a> {
    context: Json<&'a Context>,
    secret: Option<&'a [u8]>,
    jwks: Option<Json<&'a Value>>,
    record: &'a ClientRecord<'a>,
}

impl<'a> Values<'a> {
    fn new(context: &'a Context, secret: Option<&'a TokenHash>, record: &'a ClientRecord<'a>) -> Self {
        let secret = secret.map(|hash| hash.as_bytes().as_slice());
        Self { context: Json(context), secret, jwks: record.jwks.map(Json), record }
    }

    /// The parameters, and after them those of one statement alone.
    fn with<'b>(&'b self, own: &[&'b (dyn ToSql + Sync)]) -> Vec<&'b (dyn ToSql + Sync)> {
        let record = self.record;
        let mut parameters: Vec<&'b (dyn ToSql + Sync)> = vec![
            &self.context,
            &self.secret,
            &record.name,
            &record.redirect_uris,
            &record.grant_types,
            &record.scopes,
            &record.auth_method,
            &self.jwks,
            &record.jwks_uri,
            &record.skip_authorization,
            &record.resource_uri,
            &record.invitation_url,
            &record.acts_as,
            &record.whole_access,
            &record.post_logout_redirect_uris,
            &record.requires_pushed_requests,
            &record.email_code,
            &record.static_pkce,
        ];
        parameters.extend_from_slice(own);
        parameters
    }
}

/// The audit record of a change of client `c`, with the client's row in the detail and what the row was before. A secret's
/// hash is no part of it.
fn audited(before: &str, after: &str) -> String {
    format!(
        "audit_record($1 || jsonb_build_object('detail', jsonb_build_object('client', c.id)), 'allowed', NULL, '{{}}', '{{}}',
                      '{{}}', '{{}}', NULL, {before}, {after})"
    )
}

/// Whether a study invites its patients to the client `w`. What is archived is kept as it is, and invites nobody.
const IN_USE: &str = "
EXISTS (SELECT FROM study_client x JOIN study s ON s.id = x.study_id WHERE x.client_id = w.id AND s.status <> 'archived')";

/// A client's row as the audit keeps it.
fn kept(row: &str) -> String {
    format!("to_jsonb({row}) - 'secret_hash'")
}

impl Store {
    /// Registers a client, with the audit record, in one statement.
    pub async fn register_client(
        &self,
        context: &Context,
        client_id: &str,
        secret: Option<&TokenHash>,
        record: &ClientRecord<'_>,
    ) -> Result<ClientRegistration, StoreError> {
        let client = self.connection().await?;
        let types = [TYPES.as_slice(), &[Type::TEXT]].concat();
        let record_made = audited("NULL", &kept("c"));
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH changed AS (
                       INSERT INTO oauth_client (client_id, secret_hash, name, redirect_uris, grant_types, scopes,
                                                 token_endpoint_auth_method, jwks, jwks_uri, skip_authorization,
                                                 resource_uri, invitation_url, acts_as, whole_access,
                                                 post_logout_redirect_uris, require_pushed_requests, email_code,
                                                 static_pkce)
                       SELECT $19, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18 WHERE {ACTABLE}
                       ON CONFLICT (client_id) DO NOTHING
                       RETURNING *
                     )
                     SELECT c.id, {ACTABLE} AS has_account, CASE WHEN c.id IS NOT NULL THEN {record_made} END
                       FROM (VALUES (1)) one LEFT JOIN changed c ON true"
                ),
                &types,
            )
            .await?;
        let values = Values::new(context, secret, record);
        let row = client.query_one(&statement, &values.with(&[&client_id])).await?;
        Ok(match row.try_get("id")? {
            Some(id) => ClientRegistration::Done(id),
            None if row.try_get("has_account")? => ClientRegistration::Taken,
            None => ClientRegistration::NoAccount,
        })
    }

    /// Changes a client that no practitioner made for themselves, and that is as it was at `known`, with the audit record, in one
    /// statement.
    pub async fn change_client(
        &self,
        context: &Context,
        id: i32,
        known: Timestamp,
        secret: SecretChange,
        record: &ClientRecord<'_>,
    ) -> Result<Changed<ClientChange>, StoreError> {
        let client = self.connection().await?;
        let types = [TYPES.as_slice(), &[Type::INT4, Type::BOOL, Type::TIMESTAMPTZ]].concat();
        let record_change = audited(&kept("w"), &kept("c"));
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH was AS MATERIALIZED (
                       SELECT * FROM oauth_client WHERE id = $19 AND deleted_at IS NULL AND owned_by IS NULL FOR NO KEY UPDATE
                     ), changed AS (
                       UPDATE oauth_client c
                          SET secret_hash = CASE WHEN $20 THEN w.secret_hash ELSE $2 END, name = $3, redirect_uris = $4,
                              grant_types = $5, scopes = $6, token_endpoint_auth_method = $7, jwks = $8, jwks_uri = $9,
                              skip_authorization = $10, resource_uri = $11, invitation_url = $12, acts_as = $13,
                              whole_access = $14, post_logout_redirect_uris = $15, require_pushed_requests = $16,
                              email_code = $17, static_pkce = $18, last_updated = clock_timestamp()
                         FROM was w
                        WHERE c.id = w.id AND w.last_updated = $21 AND {ACTABLE}
                          AND NOT ($12 IS NULL AND w.invitation_url IS NOT NULL AND {IN_USE}) RETURNING c.*
                     )
                     SELECT w.last_updated = $21 AS is_known, {ACTABLE} AS is_actable, c.id, CASE WHEN c.id IS NOT NULL THEN {record_change} END
                       FROM was w LEFT JOIN changed c ON c.id = w.id"
                ),
                &types,
            )
            .await?;
        let (keep, hash) = match &secret {
            SecretChange::Keep => (true, None),
            SecretChange::Remove => (false, None),
            SecretChange::Replace(hash) => (false, Some(hash)),
        };
        let values = Values::new(context, hash, record);
        let Some(row) = client.query_opt(&statement, &values.with(&[&id, &keep, &known])).await? else {
            return Ok(Changed::Missing);
        };
        Ok(match (row.try_get("is_known")?, row.try_get::<_, Option<i32>>("id")?) {
            (false, _) => Changed::Stale,
            (true, Some(_)) => Changed::Done(ClientChange::Done),
            (true, None) if row.try_get("is_actable")? => Changed::Done(ClientChange::InUse),
            (true, None) => Changed::Done(ClientChange::NoAccount),
        })
    }

    /// Ends a client and all its tokens, with the audit record, in one statement. With `owner`, only if that account made it
    /// for itself. The row stays: the audit names it.
    pub async fn delete_client(
        &self,
        context: &Context,
        id: i32,
        owner: Option<UserId>,
        expected: &Expected,
    ) -> Result<Changed<ClientChange>, StoreError> {
        let client = self.connection().await?;
        let record_end = audited(&kept("c"), "NULL");
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH was AS MATERIALIZED (
                       SELECT id, last_updated FROM oauth_client
                        WHERE id = $2 AND deleted_at IS NULL AND ($3::int IS NULL OR owned_by = $3) FOR NO KEY UPDATE
                     ), changed AS (
                       UPDATE oauth_client c SET deleted_at = clock_timestamp()
                         FROM was w WHERE c.id = w.id AND ($4::timestamptz[] IS NULL OR w.last_updated = ANY ($4)) AND NOT {IN_USE}
                       RETURNING c.*
                     ) SELECT $4::timestamptz[] IS NULL OR w.last_updated = ANY ($4) AS is_expected, c.id, CASE WHEN c.id IS NOT NULL THEN {record_end} END FROM was w LEFT JOIN changed c ON true"
                ),
                &[Type::JSONB, Type::INT4, Type::INT4, Type::TIMESTAMPTZ_ARRAY],
            )
            .await?;
        let owner = owner.map(|owner| owner.0);
        let row = client.query_opt(&statement, &[&Json(context), &id, &owner, &expected.times()]).await?;
        let Some(row) = row else { return Ok(Changed::Missing) };
        Ok(match (row.try_get("is_expected")?, row.try_get::<_, Option<i32>>("id")?) {
            (_, Some(_)) => Changed::Done(ClientChange::Done),
            (true, None) => Changed::Done(ClientChange::InUse),
            (false, None) => Changed::Stale,
        })
    }

    /// The clients that an account made for itself: as many as [`NewOwnClient::limit`] lets there be.
    pub async fn own_clients(&self, user: UserId) -> Result<Vec<OwnClient>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                "SELECT id, label, created_at, name FROM oauth_client WHERE owned_by = $1 AND deleted_at IS NULL ORDER BY id",
                &[Type::INT4],
            )
            .await?;
        client.query(&statement, &[&user.0]).await?.iter().map(own).collect()
    }

    /// Stores a practitioner's own client, with the audit record, in one statement. None: there are as many as there may be.
    /// Requests at the same time may come to one or two more; what is bounded is how far one can go.
    pub async fn create_own_client(
        &self,
        context: &Context,
        new: &NewOwnClient<'_>,
    ) -> Result<Option<OwnClient>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH changed AS (
                       INSERT INTO oauth_client (client_id, name, secret_hash, redirect_uris, grant_types, scopes,
                                                 token_endpoint_auth_method, acts_as, owned_by, label, whole_access)
                       SELECT $2, $3, $4, '{{}}', '{{client_credentials}}', $5, 'client_secret_basic', $6, $6, $7, true
                        WHERE (SELECT count(*) FROM oauth_client WHERE owned_by = $6 AND deleted_at IS NULL) < $8
                       RETURNING *
                     )
                     SELECT c.id, c.label, c.created_at, c.name,
                            audit_record($1 || {ACTING} || jsonb_build_object('detail', jsonb_build_object('client', c.id)),
                                         'allowed', NULL, '{{}}', '{{}}', '{{}}', '{{}}', NULL, NULL, {})
                       FROM changed c JOIN app_user u ON u.id = $6",
                    kept("c")
                ),
                &[
                    Type::JSONB,
                    Type::TEXT,
                    Type::TEXT,
                    Type::BYTEA,
                    Type::TEXT_ARRAY,
                    Type::INT4,
                    Type::TEXT,
                    Type::INT8,
                ],
            )
            .await?;
        let name = format!("_practitioner_client_{}_{}", new.practitioner, new.label);
        let row = client
            .query_opt(
                &statement,
                &[
                    &Json(context),
                    &new.client_id,
                    &name,
                    &new.secret.as_bytes().as_slice(),
                    &new.scopes,
                    &new.user.0,
                    &new.label,
                    &new.limit,
                ],
            )
            .await?;
        row.as_ref().map(own).transpose()
    }
}

fn own(row: &Row) -> Result<OwnClient, StoreError> {
    Ok(OwnClient {
        id: row.try_get("id")?,
        label: row.try_get("label")?,
        created: row.try_get("created_at")?,
        name: row.try_get("name")?,
    })
}
