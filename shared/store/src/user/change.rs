//! Accounts made and changed.

use crate::{Changed, Expected, Store, StoreError, client::own::end_clients_that_act_as, invitation::end_shown_to};
use audit::Context;
use authz::UserId;
use jiff::Timestamp;
use oauth::TokenHash;
use serde_json::{Map, Value};
use tokio_postgres::types::{Json, Type};

/// A practitioner's account to make. It has no password yet.
#[derive(Debug)]
pub struct NewUser<'a> {
    /// Also the name to sign in with; unique.
    pub email: &'a str,
    /// Given name.
    pub first_name: &'a str,
    /// Family name.
    pub last_name: &'a str,
    /// Whether it is a super admin's.
    pub is_superuser: bool,
    /// The hash of the token of a link to choose the first password, and from when on the link is worth nothing.
    pub link: Option<(TokenHash, Timestamp)>,
}

/// What is to change of an account. What is none stays.
#[derive(Debug, Default)]
pub struct UserChange<'a> {
    /// Given name.
    pub first_name: Option<&'a str>,
    /// Family name.
    pub last_name: Option<&'a str>,
    /// Settings of the console, beside those that are there: of a practitioner.
    pub settings: Option<&'a Map<String, Value>>,
    /// Whether it is a super admin's, and whether it is active.
    pub standing: Option<Standing>,
}

/// What of an account only another super admin may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is a super admin's; none stays.
    pub is_superuser: Option<bool>,
    /// Whether it can be used; none stays.
    pub is_active: Option<bool>,
}

/// What came of a change of standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandingChange {
    /// It was done, and all that was open of the account has ended.
    Done,
    /// It is the own account, or who asks is no super admin any more.
    Refused,
    /// A patient is no super admin.
    Patient,
    /// An operator has contained it: only an operator makes it active again.
    Contained,
    /// Its patient is to be erased: nobody makes it active again.
    Erasure,
}

/// 1 audit context, 2 e-mail, 3 given name, 4 family name, 5 hash of the link's token, 6 the link's end.
const CREATE: &str = "
WITH account AS (
  INSERT INTO app_user (email, first_name, last_name, user_type) VALUES ($2, $3, $4, 'practitioner') RETURNING *
), created AS (
  INSERT INTO practitioner (user_id) SELECT id FROM account RETURNING id
), linked AS (
  INSERT INTO account_link (token_hash, user_id, purpose, expires_at)
  SELECT $5, id, 'sign_up', $6 FROM account WHERE $5 IS NOT NULL
)
SELECT a.id, c.id AS practitioner,
       audit_record($1 || jsonb_build_object('detail', jsonb_build_object('user', a.id)), 'allowed', NULL, '{}', '{}', '{}', '{}',
                    NULL, NULL, to_jsonb(a) - 'password_hash')
  FROM account a CROSS JOIN created c";

/// 1 audit context, 2 account, 3 versions, 4 given name, 5 family name, 6 settings. A patient's record has the same names.
const CHANGE: &str = "
WITH was AS MATERIALIZED (
  SELECT u.*, p.settings FROM app_user u LEFT JOIN practitioner p ON p.user_id = u.id WHERE u.id = $2 FOR NO KEY UPDATE OF u
), fit AS MATERIALIZED (
  SELECT * FROM was WHERE $3::timestamptz[] IS NULL OR last_updated = ANY ($3)
), changed AS (
  UPDATE app_user u
     SET first_name = coalesce($4, u.first_name), last_name = coalesce($5, u.last_name), last_updated = clock_timestamp()
    FROM fit WHERE u.id = fit.id
  RETURNING u.*
), record AS (
  UPDATE patient p
     SET name_given = coalesce($4, p.name_given), name_family = coalesce($5, p.name_family), last_updated = clock_timestamp()
    FROM fit WHERE p.user_id = fit.id
  RETURNING p.id
), kept AS (
  UPDATE practitioner p SET settings = p.settings || coalesce($6, '{}'), last_updated = clock_timestamp()
    FROM fit WHERE p.user_id = fit.id
  RETURNING p.settings
)
SELECT c.id IS NOT NULL AS done,
       CASE WHEN c.id IS NOT NULL THEN
         audit_record($1 || jsonb_build_object('detail', jsonb_build_object('user', c.id)), 'allowed', NULL, '{}', '{}',
                      ARRAY(SELECT id FROM record), '{}', NULL, to_jsonb(w) - 'password_hash',
                      to_jsonb(c) - 'password_hash' || jsonb_build_object('settings', (SELECT settings FROM kept))) END
  FROM was w LEFT JOIN changed c ON true";

/// 1 account, 2 versions.
const IS_EXPECTED: &str = "SELECT $2::timestamptz[] IS NULL OR last_updated = ANY ($2) FROM app_user WHERE id = $1";

/// 1 audit context, 2 account, 3 super admin, 4 active, 5 versions.
const STANDING: &str =
    "SELECT change_standing($1 || jsonb_build_object('detail', jsonb_build_object('user', $2)), $2, $3, $4, $5)";

impl Store {
    /// Makes a practitioner's account, with the audit record, in one transaction: the account and the practitioner. None: who
    /// asks for a super admin's account is no super admin any more.
    pub async fn create_user(&self, context: &Context, new: &NewUser<'_>) -> Result<Option<(UserId, i32)>, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let types = [Type::JSONB, Type::TEXT, Type::TEXT, Type::TEXT, Type::BYTEA, Type::TIMESTAMPTZ];
        let statement = transaction.prepare_typed_cached(CREATE, &types).await?;
        let token = new.link.as_ref().map(|(token, _)| token.as_bytes().as_slice());
        let end = new.link.as_ref().map(|(_, end)| *end);
        let row = transaction
            .query_one(&statement, &[&Json(context), &new.email, &new.first_name, &new.last_name, &token, &end])
            .await?;
        let id = UserId(row.try_get("id")?);
        if new.is_superuser {
            let standing = Standing { is_superuser: Some(true), is_active: None };
            if standing_of(&transaction, context, id, standing, &Expected::Any).await?
                != Changed::Done(StandingChange::Done)
            {
                return Ok(None);
            }
        }
        transaction.commit().await?;
        Ok(Some((id, row.try_get("practitioner")?)))
    }

    /// Changes an account, with the audit record, in one transaction.
    pub async fn change_user(
        &self,
        context: &Context,
        id: UserId,
        expected: &Expected,
        change: &UserChange<'_>,
    ) -> Result<Changed<StandingChange>, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        // First, since afterwards the account is another than the caller expected.
        let standing = match change.standing {
            Some(standing) => standing_of(&transaction, context, id, standing, expected).await?,
            None => is_expected(&transaction, id, expected).await?,
        };
        if standing != Changed::Done(StandingChange::Done) {
            return Ok(standing);
        }
        if change.first_name.is_some() || change.last_name.is_some() || change.settings.is_some() {
            let types = [Type::JSONB, Type::INT4, Type::TIMESTAMPTZ_ARRAY, Type::TEXT, Type::TEXT, Type::JSONB];
            let statement = transaction.prepare_typed_cached(CHANGE, &types).await?;
            let times = expected.times().filter(|_| change.standing.is_none());
            let settings = change.settings.map(Json);
            let row = transaction
                .query_opt(
                    &statement,
                    &[&Json(context), &id.0, &times, &change.first_name, &change.last_name, &settings],
                )
                .await?;
            match row {
                None => return Ok(Changed::Missing),
                Some(row) if !row.try_get::<_, bool>("done")? => return Ok(Changed::Stale),
                Some(_) => {}
            }
        }
        transaction.commit().await?;
        Ok(standing)
    }
}

/// Whether the account is the one that the caller expects, also when nothing of it is to change.
async fn is_expected(
    transaction: &deadpool_postgres::Transaction<'_>,
    id: UserId,
    expected: &Expected,
) -> Result<Changed<StandingChange>, StoreError> {
    let statement = transaction.prepare_typed_cached(IS_EXPECTED, &[Type::INT4, Type::TIMESTAMPTZ_ARRAY]).await?;
    let found = transaction.query_opt(&statement, &[&id.0, &expected.times()]).await?;
    Ok(match found.map(|row| row.try_get(0)).transpose()? {
        None => Changed::Missing,
        Some(false) => Changed::Stale,
        Some(true) => Changed::Done(StandingChange::Done),
    })
}

/// Changes whether an account is active and a super admin's. All that is open of it ends.
async fn standing_of(
    transaction: &deadpool_postgres::Transaction<'_>,
    context: &Context,
    id: UserId,
    standing: Standing,
    expected: &Expected,
) -> Result<Changed<StandingChange>, StoreError> {
    let types = [Type::JSONB, Type::INT4, Type::BOOL, Type::BOOL, Type::TIMESTAMPTZ_ARRAY];
    let statement = transaction.prepare_typed_cached(STANDING, &types).await?;
    let row = transaction
        .query_one(&statement, &[&Json(context), &id.0, &standing.is_superuser, &standing.is_active, &expected.times()])
        .await?;
    let result = row.try_get(0)?;
    if result == "done" && standing.is_active == Some(false) {
        end_clients_that_act_as(transaction, context, id).await?;
    }
    if result == "done" && (standing.is_active == Some(false) || standing.is_superuser == Some(false)) {
        end_shown_to(transaction, context, id).await?;
    }
    Ok(match result {
        "done" => Changed::Done(StandingChange::Done),
        "patient" => Changed::Done(StandingChange::Patient),
        "contained" => Changed::Done(StandingChange::Contained),
        "erasure" => Changed::Done(StandingChange::Erasure),
        "stale" => Changed::Stale,
        "missing" => Changed::Missing,
        _ => Changed::Done(StandingChange::Refused),
    })
}
