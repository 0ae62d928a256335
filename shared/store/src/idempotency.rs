//! Requests with an `Idempotency-Key`: claimed, carried out once, and answered again from what was kept.

use crate::{Store, StoreError};
use audit::Context;
use authz::Actor;
use jiff::Timestamp;
use oauth::TokenHash;
use std::sync::LazyLock;
use tokio_postgres::types::{Json, Type};

/// One key of one user with one client.
#[derive(Clone, Copy, Debug)]
pub struct KeyOwner<'a> {
    /// Who asks, with which client.
    pub actor: &'a Actor,
    /// The hash of the key.
    pub key: TokenHash,
}

/// A claim to a key.
#[derive(Clone, Debug)]
pub enum KeyClaim {
    /// The request is to be carried out. The time names the claim.
    Made(Timestamp),
    /// The key was used before.
    Taken(Earlier),
}

/// What is known of the request that used a key first.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// What was asked.
    pub fingerprint: Vec<u8>,
    /// The seconds since.
    pub age: i64,
    /// Whether it came to its end.
    pub is_finished: bool,
    /// Its answer, encrypted; none when it was too large.
    pub answer: Option<Vec<u8>>,
    /// Whether the caller may see today what they might see then.
    pub is_as_before: bool,
}

/// 1 user, 2 client, 3 key, 4 fingerprint, 5 request. A key is free again after a day.
const CLAIM: &str = "
INSERT INTO idempotency_key AS k (user_id, client_id, key_hash, fingerprint, request_id)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (user_id, client_id, key_hash) DO UPDATE
   SET fingerprint = EXCLUDED.fingerprint, claimed_at = clock_timestamp(), request_id = EXCLUDED.request_id,
       finished_at = NULL, answer = NULL, audit_ids = '{}'
 WHERE k.claimed_at < clock_timestamp() - interval '24 hours'
RETURNING claimed_at";

/// What decides whether 1 the user may see an answer about the people of `events`: the account, its roles, and of the people
/// their organizations, studies and decisions. A hash of it stands before each kept answer: whatever of it has changed
/// since, to the better or the worse, the answer is not shown again.
const STANDING: &str = "
  SELECT sha256(convert_to(jsonb_build_array(
           (SELECT jsonb_build_array(u.is_active, u.is_superuser, u.user_type) FROM app_user u WHERE u.id = $1),
           (SELECT jsonb_agg(jsonb_build_array(m.organization_id, m.role) ORDER BY m.organization_id)
              FROM practitioner p JOIN organization_member m ON m.practitioner_id = p.id WHERE p.user_id = $1),
           (SELECT jsonb_agg(jsonb_build_array(p.id, b.organization_id) ORDER BY p.id, b.organization_id)
              FROM people t JOIN patient p ON p.id = t.id LEFT JOIN patient_organization b ON b.patient_id = p.id),
           (SELECT jsonb_agg(jsonb_build_array(e.patient_id, e.study_id, s.status) ORDER BY e.patient_id, e.study_id)
              FROM people t JOIN study_patient e ON e.patient_id = t.id JOIN study s ON s.id = e.study_id),
           (SELECT jsonb_agg(c.event_id ORDER BY c.event_id) FROM people t JOIN consent_current c ON c.patient_id = t.id)
         )::text, 'UTF8')) AS hash
    FROM (SELECT) here";

/// 1 user, 2 client, 3 key.
static EARLIER: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH claim AS MATERIALIZED (
  SELECT * FROM idempotency_key WHERE user_id = $1 AND client_id = $2 AND key_hash = $3
), people AS MATERIALIZED (
  SELECT DISTINCT unnest(e.patient_ids) AS id
    FROM claim k JOIN audit_event e ON e.id = ANY (k.audit_ids) AND e.occurred_at > k.claimed_at - interval '1 minute'
                                   AND e.occurred_at < k.finished_at + interval '1 minute'
), standing AS ({STANDING})
SELECT k.fingerprint, extract(epoch FROM clock_timestamp() - k.claimed_at)::int8 AS age, k.finished_at IS NOT NULL AS is_finished,
       substring(k.answer FROM 33) AS answer, coalesce(substring(k.answer FROM 1 FOR 32) = s.hash, false) AS is_as_before
  FROM claim k CROSS JOIN standing s"
    )
});

/// 1 user, 2 client, 3 key, 4 claim, 5 answer. What the request left in the audit is looked for from its claim on, and a minute
/// before: the clock of a database can be set back. The request itself may have changed what its caller may see.
static KEEP: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH events AS MATERIALIZED (
  SELECT e.id, e.patient_ids
    FROM idempotency_key k
    JOIN audit_event e ON e.actor_user_id = k.user_id AND e.request_id = k.request_id AND e.outcome = 'allowed'
                      AND e.occurred_at > k.claimed_at - interval '1 minute'
   WHERE k.user_id = $1 AND k.client_id = $2 AND k.key_hash = $3 AND k.claimed_at = $4
), people AS MATERIALIZED (
  SELECT DISTINCT unnest(patient_ids) AS id FROM events
), standing AS ({STANDING})
UPDATE idempotency_key k
   SET finished_at = clock_timestamp(), answer = s.hash || $5, audit_ids = ARRAY(SELECT id FROM events)
  FROM standing s
 WHERE k.user_id = $1 AND k.client_id = $2 AND k.key_hash = $3 AND k.claimed_at = $4"
    )
});

/// 1 user, 2 client, 3 key, 4 claim. Whatever changes something is in the audit by the same statement: a key whose
/// request changed something is not free.
const FREE: &str = "
DELETE FROM idempotency_key k
 WHERE user_id = $1 AND client_id = $2 AND key_hash = $3 AND claimed_at = $4 AND finished_at IS NULL
   AND NOT EXISTS (SELECT FROM audit_event e
                    WHERE e.actor_user_id = k.user_id AND e.request_id = k.request_id
                      AND e.occurred_at > k.claimed_at - interval '1 minute' AND e.outcome = 'allowed' AND e.action NOT IN ('read', 'search'))";

/// 1 audit context, 2 user, 3 client, 4 key. The record names whom the answer is about.
const REPLAYED: &str = "
WITH events AS MATERIALIZED (
  SELECT e.* FROM idempotency_key k
    JOIN audit_event e ON e.id = ANY (k.audit_ids) AND e.actor_user_id = k.user_id
                      AND e.occurred_at > k.claimed_at - interval '1 minute' AND e.occurred_at < k.finished_at + interval '1 minute'
   WHERE k.user_id = $2 AND k.client_id = $3 AND k.key_hash = $4
)
SELECT audit_record($1 || jsonb_build_object('detail', jsonb_build_object('replayed', k.request_id)),
                    'allowed', NULL,
                    ARRAY(SELECT DISTINCT unnest(organization_ids) FROM events ORDER BY 1),
                    ARRAY(SELECT DISTINCT unnest(study_ids) FROM events ORDER BY 1),
                    ARRAY(SELECT DISTINCT unnest(patient_ids) FROM events ORDER BY 1),
                    ARRAY(SELECT DISTINCT unnest(observation_ids) FROM events ORDER BY 1))
  FROM idempotency_key k WHERE k.user_id = $2 AND k.client_id = $3 AND k.key_hash = $4";

impl Store {
    /// Claims a key for a request. None when the key was free again before it could be looked at: try again.
    pub async fn claim_key(
        &self,
        owner: KeyOwner<'_>,
        fingerprint: &[u8],
        request_id: &str,
    ) -> Result<Option<KeyClaim>, StoreError> {
        let client = self.connection().await?;
        let (user, app, key) = (owner.actor.user.0, owner.actor.client.0, owner.key.as_bytes().as_slice());
        let types = [Type::INT4, Type::INT4, Type::BYTEA, Type::BYTEA, Type::TEXT];
        let claim = client.prepare_typed_cached(CLAIM, &types).await?;
        if let Some(row) = client.query_opt(&claim, &[&user, &app, &key, &fingerprint, &request_id]).await? {
            return Ok(Some(KeyClaim::Made(row.try_get(0)?)));
        }
        // Another statement: only its snapshot has a row that was inserted at the same time.
        let earlier = client.prepare_typed_cached(&EARLIER, &[Type::INT4, Type::INT4, Type::BYTEA]).await?;
        let Some(row) = client.query_opt(&earlier, &[&user, &app, &key]).await? else {
            return Ok(None);
        };
        Ok(Some(KeyClaim::Taken(Earlier {
            fingerprint: row.try_get("fingerprint")?,
            age: row.try_get("age")?,
            is_finished: row.try_get("is_finished")?,
            answer: row.try_get("answer")?,
            is_as_before: row.try_get("is_as_before")?,
        })))
    }

    /// Keeps the answer of a request, or only that it was answered.
    pub async fn keep_answer(
        &self,
        owner: KeyOwner<'_>,
        claim: Timestamp,
        answer: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let types = [Type::INT4, Type::INT4, Type::BYTEA, Type::TIMESTAMPTZ, Type::BYTEA];
        let statement = client.prepare_typed_cached(&KEEP, &types).await?;
        let key = owner.key.as_bytes().as_slice();
        client.execute(&statement, &[&owner.actor.user.0, &owner.actor.client.0, &key, &claim, &answer]).await?;
        Ok(())
    }

    /// Frees the key of a request that failed, unless it changed something before.
    pub async fn free_key(&self, owner: KeyOwner<'_>, claim: Timestamp) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let types = [Type::INT4, Type::INT4, Type::BYTEA, Type::TIMESTAMPTZ];
        let statement = client.prepare_typed_cached(FREE, &types).await?;
        let key = owner.key.as_bytes().as_slice();
        client.execute(&statement, &[&owner.actor.user.0, &owner.actor.client.0, &key, &claim]).await?;
        Ok(())
    }

    /// Records that an answer is given once more.
    pub async fn record_replay(&self, context: &Context, owner: KeyOwner<'_>) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::INT4, Type::BYTEA];
        let statement = client.prepare_typed_cached(REPLAYED, &types).await?;
        let key = owner.key.as_bytes().as_slice();
        client.execute(&statement, &[&Json(context), &owner.actor.user.0, &owner.actor.client.0, &key]).await?;
        Ok(())
    }
}
