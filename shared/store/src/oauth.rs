//! Grants, codes and tokens. Only hashes of secrets are stored.

mod client;
mod lifecycle;

pub use lifecycle::{NewAccess, Revocation, SignedInElsewhere};

use crate::{
    Store, StoreError,
    account::is_strong_enough,
    invitation::{OPEN_STATIC_CODE, REDEEMED_AS_CODE},
};
use audit::{Context, RefusedBy};
use authz::{GrantId, UserId};
use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use oauth::{
    Scope, TokenHash,
    dpop::Thumbprint,
    grant::{CodeRecord, GrantError, Granted, RefreshRecord},
    id_token::Subject,
    pkce::Challenge,
    resource::Audience,
};
use serde_json::Value;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// A code to store, and the grant that it stands for.
#[derive(Debug)]
pub struct NewCode<'a> {
    /// The code's hash.
    pub hash: TokenHash,
    /// The user who agreed.
    pub user: UserId,
    /// The client's row.
    pub client: i32,
    /// What was granted.
    pub scope: &'a Scope,
    /// What tokens may be for.
    pub audience: &'a Audience,
    /// When the user logged in.
    pub auth_time: Timestamp,
    /// How, by the methods of the session.
    pub methods: &'a [String],
    /// The redirect URI of the request.
    pub redirect_uri: &'a str,
    /// The PKCE challenge.
    pub challenge: &'a Challenge,
    /// The nonce of the request.
    pub nonce: Option<&'a str>,
    /// The key that the code is bound to.
    pub key: Option<&'a Thumbprint>,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
}

/// The tokens to store when a code or a refresh token is exchanged.
#[derive(Debug)]
pub struct NewTokens {
    /// The access token's hash.
    pub access: TokenHash,
    /// From when on it is worth nothing.
    pub access_expires_at: Timestamp,
    /// The key that the access token is bound to.
    pub access_key: Option<Thumbprint>,
    /// The refresh token's hash.
    pub refresh: TokenHash,
    /// The key that the refresh token is bound to.
    pub refresh_key: Option<Thumbprint>,
    /// From when on it is worth nothing.
    pub refresh_expires_at: Timestamp,
}

/// What an exchange came to.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// What was granted.
    pub granted: Granted,
    /// The user, as far as the `id_token` tells.
    pub subject: Subject,
    /// How the user logged in, by the methods of the session.
    pub methods: Vec<String>,
}

/// What the audit says of the user `u` who acts: the request knows only a token or a password.
pub(crate) const ACTING: &str = "jsonb_build_object('actor_user_id', u.id, 'privileged', u.is_superuser,
  'actor_type', CASE WHEN u.is_superuser THEN 'super_admin' ELSE u.user_type END)";

impl Store {
    /// Stores a grant and the code that stands for it, with the audit record, in one statement.
    pub async fn issue_code(&self, context: &Context, code: &NewCode<'_>) -> Result<(), StoreError> {
        let client = self.connection().await?;
        insert_code(&client, context, code, None).await
    }

    /// Exchanges a code for tokens, with the audit record, in one transaction. `decide` judges the code; a replay
    /// revokes all that the code bought (RFC 6749 section 4.1.2). Of two exchanges at the same time, the row lock makes
    /// the second see the first, as a replay. None: no such code, or its user is no longer active, or must have signed in by
    /// two factors by now.
    pub async fn redeem_code(
        &self,
        context: &Context,
        code: &TokenHash,
        tokens: &NewTokens,
        super_admins_need_factor: bool,
        decide: impl Fn(&CodeRecord) -> Result<Granted, GrantError> + Sync,
    ) -> Result<Option<Result<Exchanged, GrantError>>, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let statement = transaction
            .prepare_cached(&format!(
                "SELECT c.grant_id, g.client_id, g.user_id, c.redirect_uri, c.code_challenge, g.scope, g.audience, c.nonce, c.dpop_jkt, g.auth_time, g.methods,
                        c.expires_at, c.used_at, g.revoked_at, u.email, u.email_verified_at, u.first_name, u.last_name,
                        (SELECT id FROM patient WHERE user_id = u.id) AS patient_id,
                        (SELECT id FROM practitioner WHERE user_id = u.id) AS practitioner_id
                   FROM oauth_code c JOIN oauth_grant g ON g.id = c.grant_id
                   JOIN app_user u ON u.id = g.user_id AND u.is_active
                  WHERE c.code_hash = $1 AND {OPEN_STATIC_CODE} AND {} FOR UPDATE OF c",
                is_strong_enough("g.methods", "$2")
            ))
            .await?;
        let hash = code.as_bytes().as_slice();
        let Some(row) = transaction.query_opt(&statement, &[&hash, &super_admins_need_factor]).await? else {
            return Ok(None);
        };
        let grant = GrantId(row.try_get("grant_id")?);
        let record = CodeRecord {
            client: row.try_get("client_id")?,
            user: row.try_get("user_id")?,
            redirect_uri: row.try_get("redirect_uri")?,
            challenge: Challenge::parse(row.try_get("code_challenge")?).ok_or(StoreError::Corrupt("code_challenge"))?,
            scope: scope_of(&row, "scope")?,
            audience: Audience::of(row.try_get("audience")?),
            nonce: row.try_get("nonce")?,
            key: key_of(&row)?,
            auth_time: row.try_get("auth_time")?,
            expires_at: row.try_get("expires_at")?,
            used_at: row.try_get("used_at")?,
            revoked_at: row.try_get("revoked_at")?,
        };
        let decision = decide(&record);
        if decision.is_ok() {
            let used = transaction
                .prepare_cached("UPDATE oauth_code SET used_at = clock_timestamp() WHERE code_hash = $1")
                .await?;
            transaction.execute(&used, &[&hash]).await?;
            let redeemed = transaction.prepare_typed_cached(REDEEMED_AS_CODE, &[Type::BYTEA, Type::JSONB]).await?;
            transaction.execute(&redeemed, &[&hash, &Json(context)]).await?;
        }
        settle(&transaction, context, grant, tokens, &decision).await?;
        let (subject, methods) = (subject_of(&row)?, row.try_get("methods")?);
        transaction.commit().await?;
        Ok(Some(decision.map(|granted| Exchanged { granted, subject, methods })))
    }

    /// Exchanges a refresh token for its successor, with the audit record, in one transaction. A reuse revokes the
    /// family (RFC 9700 section 4.14.2); two exchanges at the same time are a reuse, by the row lock. The successor has the
    /// scope of the grant (RFC 6749 section 6), so only access tokens have a scope of their own. None: no such token, or
    /// its user is no longer active, or must have signed in by two factors by now.
    pub async fn rotate_refresh(
        &self,
        context: &Context,
        refresh: &TokenHash,
        tokens: &NewTokens,
        super_admins_need_factor: bool,
        decide: impl Fn(&RefreshRecord) -> Result<Granted, GrantError> + Sync,
    ) -> Result<Option<Result<Exchanged, GrantError>>, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let statement = transaction
            .prepare_cached(&format!(
                "SELECT r.grant_id, g.client_id, g.user_id, g.scope, g.audience, g.auth_time, g.methods, r.dpop_jkt, r.expires_at, r.used_at, g.revoked_at,
                        u.email, u.email_verified_at, u.first_name, u.last_name,
                        (SELECT id FROM patient WHERE user_id = u.id) AS patient_id,
                        (SELECT id FROM practitioner WHERE user_id = u.id) AS practitioner_id
                   FROM refresh_token r JOIN oauth_grant g ON g.id = r.grant_id
                   JOIN app_user u ON u.id = g.user_id AND u.is_active
                  WHERE r.token_hash = $1 AND {} FOR UPDATE OF r",
                is_strong_enough("g.methods", "$2")
            ))
            .await?;
        let hash = refresh.as_bytes().as_slice();
        let Some(row) = transaction.query_opt(&statement, &[&hash, &super_admins_need_factor]).await? else {
            return Ok(None);
        };
        let grant = GrantId(row.try_get("grant_id")?);
        let record = RefreshRecord {
            client: row.try_get("client_id")?,
            user: row.try_get("user_id")?,
            scope: scope_of(&row, "scope")?,
            audience: Audience::of(row.try_get("audience")?),
            auth_time: row.try_get("auth_time")?,
            expires_at: row.try_get("expires_at")?,
            key: key_of(&row)?,
            rotated_at: row.try_get("used_at")?,
            revoked_at: row.try_get("revoked_at")?,
        };
        let decision = decide(&record);
        if decision.is_ok() {
            let used = transaction
                .prepare_cached("UPDATE refresh_token SET used_at = clock_timestamp() WHERE token_hash = $1")
                .await?;
            transaction.execute(&used, &[&refresh.as_bytes().as_slice()]).await?;
        }
        settle(&transaction, context, grant, tokens, &decision).await?;
        let (subject, methods) = (subject_of(&row)?, row.try_get("methods")?);
        transaction.commit().await?;
        Ok(Some(decision.map(|granted| Exchanged { granted, subject, methods })))
    }
}

/// The invitation for which a code is stored.
pub(crate) struct Redeemed {
    /// By which the patient was invited.
    pub organizations: Vec<i32>,
    /// The invitation as it was and as it is, for the audit.
    pub before: Value,
    pub after: Value,
}

/// Stores a grant, its code and the audit record; also what redeeming an invitation does, which names the organizations by
/// which the patient was invited.
pub(crate) async fn insert_code(
    client: &impl GenericClient,
    context: &Context,
    code: &NewCode<'_>,
    redeemed: Option<&Redeemed>,
) -> Result<(), StoreError> {
    let statement = client
        .prepare_typed_cached(
            &format!(
                "WITH granted AS (
                   INSERT INTO oauth_grant (user_id, client_id, scope, auth_time, audience, methods)
                   VALUES ($2, $3, $4, $5, $13, $14) RETURNING id
                 ), issued AS (
                   INSERT INTO oauth_code (code_hash, grant_id, redirect_uri, code_challenge, nonce, issued_at, expires_at, dpop_jkt)
                   SELECT $6, id, $7, $8, $9, clock_timestamp(), $10, $11 FROM granted
                 )
                 SELECT audit_record($1 || {ACTING} || jsonb_build_object('client_id', $3), 'allowed', NULL, $12, '{{}}',
                                     ARRAY(SELECT id FROM patient WHERE user_id = u.id), '{{}}', NULL, $15, $16)
                   FROM app_user u WHERE u.id = $2"
            ),
            &[
                Type::JSONB,
                Type::INT4,
                Type::INT4,
                Type::TEXT,
                Type::TIMESTAMPTZ,
                Type::BYTEA,
                Type::TEXT,
                Type::TEXT,
                Type::TEXT,
                Type::TIMESTAMPTZ,
                Type::TEXT,
                Type::INT4_ARRAY,
                Type::TEXT_ARRAY,
                Type::TEXT_ARRAY,
                Type::JSONB,
                Type::JSONB,
            ],
        )
        .await?;
    client
        .query_one(
            &statement,
            &[
                &Json(context),
                &code.user.0,
                &code.client,
                &code.scope.to_string(),
                &code.auth_time,
                &code.hash.as_bytes().as_slice(),
                &code.redirect_uri,
                &code.challenge.as_str(),
                &code.nonce,
                &code.expires_at,
                &code.key.map(Thumbprint::as_str),
                &redeemed.map(|redeemed| redeemed.organizations.as_slice()).unwrap_or_default(),
                &code.audience.uris(),
                &code.methods,
                &redeemed.map(|redeemed| &redeemed.before),
                &redeemed.map(|redeemed| &redeemed.after),
            ],
        )
        .await?;
    Ok(())
}

/// Writes what a decision entails: the tokens, or the end of the family; and the audit record either way.
async fn settle(
    transaction: &Transaction<'_>,
    context: &Context,
    grant: GrantId,
    tokens: &NewTokens,
    decision: &Result<Granted, GrantError>,
) -> Result<(), StoreError> {
    match decision {
        Ok(granted) => issue_tokens(transaction, grant, granted, tokens).await?,
        Err(error) if error.revokes_family() => {
            let revoke = transaction
                .prepare_cached(
                    "UPDATE oauth_grant SET revoked_at = clock_timestamp() WHERE id = $1 AND revoked_at IS NULL",
                )
                .await?;
            transaction.execute(&revoke, &[&grant.0]).await?;
        }
        Err(_) => {}
    }
    // Who brings a code or a token that is worth nothing is nobody in particular.
    let record = transaction
        .prepare_typed_cached(
            &format!(
                "SELECT audit_record(CASE WHEN $2 = 'allowed' THEN $1 || {ACTING} || jsonb_build_object('session', 'grant:' || g.id) ELSE $1 END, $2, $3, '{{}}', '{{}}',
                                     ARRAY(SELECT id FROM patient WHERE user_id = u.id), '{{}}')
                   FROM oauth_grant g JOIN app_user u ON u.id = g.user_id WHERE g.id = $4"
            ),
            &[Type::JSONB, Type::TEXT, Type::TEXT, Type::INT8],
        )
        .await?;
    let (outcome, reason) = match decision {
        Ok(_) => ("allowed", None),
        Err(_) => ("denied", Some(RefusedBy::Layer(authz::Layer::Token).name())),
    };
    transaction.query_one(&record, &[&Json(context), &outcome, &reason, &grant.0]).await?;
    Ok(())
}

async fn issue_tokens(
    transaction: &Transaction<'_>,
    grant: GrantId,
    granted: &Granted,
    tokens: &NewTokens,
) -> Result<(), StoreError> {
    let access_key = tokens.access_key.as_ref().map(Thumbprint::as_str);
    let refresh_key = tokens.refresh_key.as_ref().map(Thumbprint::as_str);
    let access = transaction
        .prepare_cached(
            "INSERT INTO access_token (token_hash, grant_id, scope, expires_at, dpop_jkt, audience) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .await?;
    transaction
        .execute(
            &access,
            &[
                &tokens.access.as_bytes().as_slice(),
                &grant.0,
                &granted.scope.to_string(),
                &tokens.access_expires_at,
                &access_key,
                &granted.audience.uris(),
            ],
        )
        .await?;
    if granted.refresh_scope.is_some() {
        let expires_at = tokens.refresh_expires_at.min(granted.ends_at);
        let refresh = transaction
            .prepare_cached(
                "INSERT INTO refresh_token (token_hash, grant_id, expires_at, dpop_jkt) VALUES ($1, $2, $3, $4)",
            )
            .await?;
        transaction
            .execute(&refresh, &[&tokens.refresh.as_bytes().as_slice(), &grant.0, &expires_at, &refresh_key])
            .await?;
    }
    Ok(())
}

fn subject_of(row: &Row) -> Result<Subject, StoreError> {
    let text = |column| Ok::<_, StoreError>(Some(row.try_get(column)?).filter(|text: &String| !text.is_empty()));
    Ok(Subject {
        user: row.try_get("user_id")?,
        email: text("email")?,
        email_verified: Some(row.try_get::<_, Option<Timestamp>>("email_verified_at")?.is_some()),
        given_name: text("first_name")?,
        family_name: text("last_name")?,
        patient: row.try_get("patient_id")?,
        practitioner: row.try_get("practitioner_id")?,
    })
}

/// The key in the column `dpop_jkt`.
pub(crate) fn key_of(row: &Row) -> Result<Option<Thumbprint>, StoreError> {
    let text: Option<&str> = row.try_get("dpop_jkt")?;
    text.map(|text| Thumbprint::parse(text).ok_or(StoreError::Corrupt("dpop_jkt"))).transpose()
}

pub(crate) fn scope_of(row: &Row, column: &'static str) -> Result<Scope, StoreError> {
    Scope::parse(row.try_get(column)?).map_err(|_| StoreError::Corrupt(column))
}
