//! What an operator ends and blocks in an incident, and lets go again. All of it is done by the database's owner, in one
//! transaction: the functions' login cannot lift a block.
//!
//! What is blocked is refused where it is asked for already: an account is inactive meanwhile, and a client is looked up as one
//! that is not there. So a block costs a request nothing.

use crate::{DatabaseConfig, LoginError, StoreError, connect_owner};
use audit::Context;
use serde_json::{Value, json};
use tokio_postgres::{
    Row, Transaction,
    types::{Json, Type},
};

/// What an incident is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incident {
    /// An account, by its id or its e-mail address.
    Account(AccountName),
    /// A client, by its `client_id` or its number.
    Client(String),
    /// The accounts of those who have a role in an organization now.
    Organization(i32),
    /// Every session and every token. Nobody is blocked by it.
    Everything,
}

/// How an account is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountName {
    /// By its id.
    Id(i32),
    /// By its e-mail address.
    Email(String),
}

impl AccountName {
    /// As an operator names it: a number is an id.
    #[must_use]
    pub fn of(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Email(text.to_owned()), Self::Id)
    }
}

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Everything open ends, and is blocked until it is let go.
    Contain,
    /// The block is lifted. What was ended stays so.
    Release,
}

impl Measure {
    const fn name(self) -> &'static str {
        match self {
            Self::Contain => "contain",
            Self::Release => "release",
        }
    }
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Containment {
    /// The accounts that it is about.
    pub users: Vec<i32>,
    /// The client's row.
    pub client: Option<i32>,
    /// How many of them were not blocked before, or are not any more.
    pub changed: usize,
    /// How many of each kind were ended.
    pub ended: Value,
}

/// 1 id, 2 e-mail, 3 organization, 4 by what it is contained.
const BLOCK: &str = "
WITH named AS MATERIALIZED (
  SELECT u.id FROM app_user u
   WHERE u.id = $1 OR lower(u.email) = lower($2)
      OR EXISTS (SELECT FROM organization_member m JOIN practitioner p ON p.id = m.practitioner_id
                  WHERE m.organization_id = $3 AND p.user_id = u.id)
   ORDER BY u.id FOR UPDATE OF u
), blocked AS (
  UPDATE app_user u
     SET active_after_release = coalesce(u.active_after_release, u.is_active), is_active = false,
         contained_by = array_append(u.contained_by, $4), last_updated = clock_timestamp()
    FROM named n WHERE u.id = n.id AND NOT $4 = ANY (u.contained_by)
  RETURNING u.id
)
SELECT n.id, EXISTS (SELECT FROM blocked b WHERE b.id = n.id) AS changed FROM named n";

/// The same. Of an organization, all are let go who were contained with it, wherever they work by now. An account stays blocked
/// for as long as something else contains it.
const UNBLOCK: &str = "
WITH named AS MATERIALIZED (
  SELECT u.id, array_remove(u.contained_by, $4) AS contained_by FROM app_user u
   WHERE (u.id = $1 OR lower(u.email) = lower($2) OR $3::int IS NOT NULL) AND $4 = ANY (u.contained_by)
   ORDER BY u.id FOR UPDATE OF u
), released AS (
  UPDATE app_user u
     SET contained_by = n.contained_by, last_updated = clock_timestamp(),
         is_active = CASE WHEN n.contained_by = '{}' THEN u.active_after_release ELSE u.is_active END,
         active_after_release = CASE WHEN n.contained_by <> '{}' THEN u.active_after_release END
    FROM named n WHERE u.id = n.id
  RETURNING u.id
)
SELECT n.id, EXISTS (SELECT FROM released r WHERE r.id = n.id) AS changed FROM named n";

/// 1 the client's name, 2 whether it is to be blocked.
const CLIENT: &str = "
WITH named AS MATERIALIZED (
  SELECT c.id, c.contained_at FROM oauth_client c WHERE c.client_id = $1 OR c.id::text = $1
   ORDER BY c.client_id = $1 DESC LIMIT 1 FOR UPDATE
), changed AS (
  UPDATE oauth_client c SET contained_at = CASE WHEN $2 THEN clock_timestamp() END
    FROM named n WHERE c.id = n.id AND (n.contained_at IS NULL) = $2
  RETURNING c.id
)
SELECT n.id, EXISTS (SELECT FROM changed) AS changed FROM named n";

/// 1 audit context with its detail, 2 whether of everybody, 3 accounts, 4 client, 5 organizations for the audit. Invitations end
/// that are for these patients, that these people issued, or that are for this client: who issued one was shown it.
const END: &str = "
WITH theirs AS MATERIALIZED (
  SELECT id FROM patient WHERE user_id = ANY ($3)
), sessions AS (
  DELETE FROM login_session WHERE $2 OR user_id = ANY ($3) RETURNING token_hash
), challenges AS (
  DELETE FROM login_challenge WHERE $2 OR user_id = ANY ($3) RETURNING token_hash
), ceremonies AS (
  DELETE FROM passkey_challenge
   WHERE $2 OR binding_hash IN (SELECT token_hash FROM sessions UNION ALL SELECT token_hash FROM challenges) RETURNING purpose
), grants AS (
  UPDATE oauth_grant SET revoked_at = clock_timestamp()
   WHERE revoked_at IS NULL AND ($2 OR user_id = ANY ($3) OR client_id = $4) RETURNING id
), links AS (
  UPDATE account_link SET used_at = clock_timestamp() WHERE used_at IS NULL AND ($2 OR user_id = ANY ($3)) RETURNING expires_at
), pushed AS (
  DELETE FROM pushed_request WHERE $2 OR client_id = $4 RETURNING expires_at
), invitations AS (
  UPDATE invitation i
     SET status = CASE WHEN status = 'issued' THEN 'cancelled' ELSE status END,
         expires_at = least(expires_at, clock_timestamp()), last_updated = clock_timestamp()
   WHERE i.status IN ('issued', 'redeemed') AND i.expires_at > clock_timestamp()
     AND ($2 OR i.client_id = $4 OR i.issued_by = ANY ($3) OR i.patient_id IN (SELECT id FROM theirs))
  RETURNING id
), counted AS (
  SELECT jsonb_build_object(
    'sessions', (SELECT count(*) FROM sessions),
    'signIns', (SELECT count(*) FROM challenges) + (SELECT count(*) FROM ceremonies),
    'grants', (SELECT count(*) FROM grants),
    'accessTokens', (SELECT count(*) FROM access_token t WHERE t.grant_id IN (SELECT id FROM grants)
                        AND t.revoked_at IS NULL AND t.expires_at > statement_timestamp()),
    'refreshTokens', (SELECT count(*) FROM refresh_token t WHERE t.grant_id IN (SELECT id FROM grants)
                         AND t.used_at IS NULL AND t.expires_at > statement_timestamp()),
    'codes', (SELECT count(*) FROM oauth_code c WHERE c.grant_id IN (SELECT id FROM grants)
                 AND c.used_at IS NULL AND c.expires_at > statement_timestamp()),
    'links', (SELECT count(*) FROM links WHERE expires_at > statement_timestamp()),
    'pushedRequests', (SELECT count(*) FROM pushed WHERE expires_at > statement_timestamp()),
    'invitations', (SELECT count(*) FROM invitations)) AS ended
)
SELECT c.ended, audit_record(jsonb_set($1, '{detail,ended}', c.ended), 'allowed', NULL, $5, '{}', ARRAY(SELECT id FROM theirs), '{}')
  FROM counted c";

/// Contains or releases, with the audit record, in one transaction. Doing it again does no harm, and ends what was opened since.
/// None: there is no such account, client, or organization with anybody in it; or, to release, nothing of it is contained.
pub async fn contain(
    owner: &DatabaseConfig,
    context: &Context,
    incident: &Incident,
    measure: Measure,
) -> Result<Option<Containment>, LoginError> {
    let mut client = connect_owner(owner).await?;
    let transaction = client.transaction().await.map_err(StoreError::from)?;
    let done = carry_out(&transaction, context, incident, measure).await?;
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(done)
}

async fn carry_out(
    transaction: &Transaction<'_>,
    context: &Context,
    incident: &Incident,
    measure: Measure,
) -> Result<Option<Containment>, StoreError> {
    let rows = block(transaction, incident, measure).await?;
    if rows.is_empty() && *incident != Incident::Everything {
        return Ok(None);
    }
    let ids = rows.iter().map(|row| row.try_get("id")).collect::<Result<Vec<i32>, _>>()?;
    let changed = rows.iter().map(|row| row.try_get("changed")).collect::<Result<Vec<bool>, _>>()?;
    let (users, clients) = if matches!(incident, Incident::Client(_)) { (Vec::new(), ids) } else { (ids, Vec::new()) };
    let client = clients.first().copied();
    let ended = end(transaction, context, incident, measure, &users, client).await?;
    Ok(Some(Containment { users, client, changed: changed.into_iter().filter(|changed| *changed).count(), ended }))
}

/// Blocks what the incident is about, or lifts the block: each with whether that changed something.
async fn block(transaction: &Transaction<'_>, incident: &Incident, measure: Measure) -> Result<Vec<Row>, StoreError> {
    let blocks = measure == Measure::Contain;
    let (id, email, organization, by) = match incident {
        Incident::Everything => return Ok(Vec::new()),
        Incident::Client(name) => {
            let statement = transaction.prepare_typed(CLIENT, &[Type::TEXT, Type::BOOL]).await?;
            return Ok(transaction.query(&statement, &[name, &blocks]).await?);
        }
        Incident::Account(AccountName::Id(id)) => (Some(*id), None, None, "user".to_owned()),
        Incident::Account(AccountName::Email(email)) => (None, Some(email), None, "user".to_owned()),
        Incident::Organization(id) => (None, None, Some(*id), format!("organization {id}")),
    };
    let types = [Type::INT4, Type::TEXT, Type::INT4, Type::TEXT];
    let statement = transaction.prepare_typed(if blocks { BLOCK } else { UNBLOCK }, &types).await?;
    Ok(transaction.query(&statement, &[&id, &email, &organization, &by]).await?)
}

/// Ends what is open, and records it. To release ends what somebody may have opened at the moment of the block, too.
async fn end(
    transaction: &Transaction<'_>,
    context: &Context,
    incident: &Incident,
    measure: Measure,
    users: &[i32],
    client: Option<i32>,
) -> Result<Value, StoreError> {
    let organizations: Vec<i32> = if let Incident::Organization(id) = incident { vec![*id] } else { Vec::new() };
    let everything = *incident == Incident::Everything;
    let mut context = serde_json::to_value(context).map_err(|_| StoreError::Corrupt("context"))?;
    if let Some(members) = context.as_object_mut() {
        let users = if everything { json!("all") } else { json!(users) };
        members.insert("detail".to_owned(), json!({ "measure": measure.name(), "users": users, "client": client }));
    }
    let types = [Type::JSONB, Type::BOOL, Type::INT4_ARRAY, Type::INT4, Type::INT4_ARRAY];
    let statement = transaction.prepare_typed(END, &types).await?;
    let row =
        transaction.query_one(&statement, &[&Json(&context), &everything, &users, &client, &organizations]).await?;
    let Json(ended) = row.try_get("ended")?;
    Ok(ended)
}
