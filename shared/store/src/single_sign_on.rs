//! Single sign-on: the messages of an identity provider that were used, the sessions that it started, and the tokens of
//! another provider that are exchanged.

use crate::{Store, StoreError, oauth::ACTING};
use audit::Context;
use authz::UserId;
use jiff::Timestamp;
use oauth::TokenHash;
use serde::Serialize;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// The account of a person whom an identity provider vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SsoAccount {
    /// The user.
    pub id: UserId,
    /// False for an account that was closed.
    pub is_active: bool,
    /// True for a super admin.
    pub is_superuser: bool,
    /// True for a practitioner who is not a patient too.
    pub is_practitioner: bool,
}

/// What became of an assertion or a token that was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SsoAttempt {
    /// It was used before.
    Replayed,
    /// This is its first use. None: the person has no account.
    Fresh(Option<SsoAccount>),
}

/// A person as the identity provider calls them.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Outsider<'a> {
    /// The identity provider.
    pub issuer: &'a str,
    /// The name.
    pub name: &'a str,
    /// Its format and its two qualifiers.
    pub parts: [Option<&'a str>; 3],
    /// The session there.
    pub session_index: Option<&'a str>,
}

/// A session that an identity provider started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedSession {
    /// The identity provider.
    pub issuer: String,
    /// The person's name there.
    pub name: String,
    /// Its format and its two qualifiers.
    pub parts: [Option<String>; 3],
    /// The session there.
    pub session_index: Option<String>,
}

/// An identity provider's request to end a person's sessions.
#[derive(Clone, Copy, Debug)]
pub struct SignOutOrder<'a> {
    /// The hash of the message's `ID`.
    pub id: TokenHash,
    /// Until when it has to be remembered.
    pub lapses_at: Timestamp,
    /// The identity provider.
    pub issuer: &'a str,
    /// The person's name there.
    pub name: &'a str,
    /// Which of the sessions there; none means all.
    pub session_indexes: &'a [String],
}

/// Remembers a message, and forgets those that lapsed a day ago.
const USE: &str = "
  lapsed AS (DELETE FROM used_message WHERE lapses_at < clock_timestamp() - interval '1 day'),
  used AS (INSERT INTO used_message (id_hash, lapses_at) VALUES ($1, $2) ON CONFLICT (id_hash) DO NOTHING RETURNING 1)";

/// The account `u` of a person, if it was the message's first use.
const ACCOUNT: &str = "
  SELECT EXISTS (SELECT FROM used) AS fresh, u.id, u.is_active, u.is_superuser,
         u.user_type = 'practitioner' AND EXISTS (SELECT FROM practitioner p WHERE p.user_id = u.id)
           AND NOT EXISTS (SELECT FROM patient p WHERE p.user_id = u.id) AS is_practitioner";

fn attempt_of(row: &Row) -> Result<SsoAttempt, StoreError> {
    if !row.try_get::<_, bool>("fresh")? {
        return Ok(SsoAttempt::Replayed);
    }
    let Some(id) = row.try_get::<_, Option<i32>>("id")? else { return Ok(SsoAttempt::Fresh(None)) };
    Ok(SsoAttempt::Fresh(Some(SsoAccount {
        id: UserId(id),
        is_active: row.try_get("is_active")?,
        is_superuser: row.try_get("is_superuser")?,
        is_practitioner: row.try_get("is_practitioner")?,
    })))
}

impl Store {
    /// Uses an assertion, and finds the account of its address (in lower case), in one statement.
    pub async fn begin_single_sign_on(
        &self,
        assertion: &TokenHash,
        lapses_at: Timestamp,
        email: &str,
    ) -> Result<SsoAttempt, StoreError> {
        let client = self.connection().await?;
        let types = [Type::BYTEA, Type::TIMESTAMPTZ, Type::TEXT];
        let statement = format!(
            "WITH {USE} {ACCOUNT} FROM (VALUES ($3)) asked (email) LEFT JOIN app_user u ON lower(u.email) = asked.email"
        );
        let statement = client.prepare_typed_cached(&statement, &types).await?;
        let row = client.query_one(&statement, &[&assertion.as_bytes().as_slice(), &lapses_at, &email]).await?;
        attempt_of(&row)
    }

    /// Uses a token of another provider, and finds the account that is linked to the person it names, in one statement.
    pub async fn begin_token_exchange(
        &self,
        token: &TokenHash,
        lapses_at: Timestamp,
        issuer: &str,
        name: &str,
    ) -> Result<SsoAttempt, StoreError> {
        let client = self.connection().await?;
        let types = [Type::BYTEA, Type::TIMESTAMPTZ, Type::TEXT, Type::TEXT];
        let statement = format!(
            "WITH {USE} {ACCOUNT} FROM (VALUES ($3, $4)) asked (issuer, name)
               LEFT JOIN linked_person l ON l.issuer = asked.issuer AND l.name = asked.name
               LEFT JOIN app_user u ON u.id = l.user_id"
        );
        let statement = client.prepare_typed_cached(&statement, &types).await?;
        let row = client.query_one(&statement, &[&token.as_bytes().as_slice(), &lapses_at, &issuer, &name]).await?;
        attempt_of(&row)
    }

    /// Makes a practitioner of no organization, with the audit record, in one statement. None when the address got an
    /// account meanwhile.
    pub async fn create_practitioner(
        &self,
        context: &Context,
        email: &str,
        first_name: &str,
        last_name: &str,
    ) -> Result<Option<UserId>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                "WITH created AS MATERIALIZED (SELECT create_practitioner($2, $3, $4) AS id)
                 SELECT id, audit_record($1 || jsonb_build_object('actor_user_id', id, 'actor_type', 'practitioner'),
                                         'allowed', NULL, '{}', '{}', '{}', '{}')
                   FROM created WHERE id IS NOT NULL",
                &[Type::JSONB, Type::TEXT, Type::TEXT, Type::TEXT],
            )
            .await?;
        let row = client.query_opt(&statement, &[&Json(context), &email, &first_name, &last_name]).await?;
        row.map(|row| Ok(UserId(row.try_get("id")?))).transpose()
    }

    /// Whose session of the identity provider a session is, if it is one.
    pub async fn linked_session(&self, token: &TokenHash) -> Result<Option<LinkedSession>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT issuer, name_id, name_format, name_qualifier, sp_name_qualifier, session_index
                   FROM linked_session WHERE token_hash = $1",
            )
            .await?;
        let row = client.query_opt(&statement, &[&token.as_bytes().as_slice()]).await?;
        row.map(|row| {
            Ok(LinkedSession {
                issuer: row.try_get("issuer")?,
                name: row.try_get("name_id")?,
                parts: [row.try_get("name_format")?, row.try_get("name_qualifier")?, row.try_get("sp_name_qualifier")?],
                session_index: row.try_get("session_index")?,
            })
        })
        .transpose()
    }

    /// Ends the sessions that an identity provider asks to end, with one audit record for each person, or for nobody when
    /// there was none, in one statement. False when the message was used before; then nothing ends.
    pub async fn end_linked_sessions(&self, context: &Context, order: &SignOutOrder<'_>) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH {USE}, ended AS (
                       DELETE FROM login_session s USING linked_session l
                        WHERE l.token_hash = s.token_hash AND l.issuer = $4 AND l.name_id = $5
                          AND (cardinality($6::text[]) = 0 OR l.session_index = ANY ($6::text[]))
                          AND EXISTS (SELECT FROM used)
                       RETURNING s.user_id
                     ), recorded AS MATERIALIZED (
                       SELECT audit_record($3 || CASE WHEN u.id IS NULL THEN '{{}}' ELSE {ACTING} END, 'allowed', NULL, '{{}}', '{{}}', '{{}}', '{{}}')
                         FROM used LEFT JOIN (SELECT DISTINCT user_id FROM ended) e ON true
                         LEFT JOIN app_user u ON u.id = e.user_id
                     )
                     SELECT EXISTS (SELECT FROM used) AS fresh, (SELECT count(*) FROM recorded) AS recorded"
                ),
                &[Type::BYTEA, Type::TIMESTAMPTZ, Type::JSONB, Type::TEXT, Type::TEXT, Type::TEXT_ARRAY],
            )
            .await?;
        let row = client
            .query_one(
                &statement,
                &[
                    &order.id.as_bytes().as_slice(),
                    &order.lapses_at,
                    &Json(context),
                    &order.issuer,
                    &order.name,
                    &order.session_indexes,
                ],
            )
            .await?;
        Ok(row.try_get("fresh")?)
    }
}
