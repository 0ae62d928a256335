//! Authorization requests that clients pushed (RFC 9126). Only hashes of their references are stored.

use crate::{Store, StoreError};
use audit::{Context, RefusedBy};
use authz::Layer;
use jiff::Timestamp;
use oauth::{
    TokenHash,
    pushed::{self, Pushed},
};
use tokio_postgres::types::{Json, Type};

/// A request to store.
#[derive(Debug)]
pub struct NewPushedRequest<'a> {
    /// The reference's hash.
    pub reference: TokenHash,
    /// The client's row.
    pub client: i32,
    /// The parameters, as a form.
    pub parameters: &'a str,
    /// Until when a browser has to bring the reference.
    pub expires_at: Timestamp,
    /// How many may wait from where it comes from; none for who proves to be a client.
    pub bound: Option<Bound>,
}

/// How many requests may wait that come from one place.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The hash of the place.
    pub source: TokenHash,
    /// So many, and no more.
    pub most: i32,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// It waits for a browser.
    Stored,
    /// Too many wait; the first of them is over after so many seconds.
    Wait(u32),
}

/// 1 audit context, 2 reference, 3 client, 4 parameters, 5 end, 6 the place, 7 how many may wait from there, 8 the reason of a
/// refusal. Those whose time is over go with every new one, some at a time, so that there are never many.
const PUSH: &str = "
WITH gone AS (
  DELETE FROM pushed_request WHERE reference_hash IN (
    SELECT reference_hash FROM pushed_request WHERE expires_at < clock_timestamp() LIMIT 8 FOR UPDATE SKIP LOCKED)
), waiting AS MATERIALIZED (
  SELECT count(*) AS number, min(p.expires_at) AS first_end
    FROM pushed_from f JOIN pushed_request p USING (reference_hash)
   WHERE f.source_hash = $6 AND p.expires_at > statement_timestamp()
), pushed AS (
  INSERT INTO pushed_request (reference_hash, client_id, parameters, expires_at)
  SELECT $2, $3, $4, $5 FROM waiting WHERE $6 IS NULL OR number < $7 RETURNING reference_hash
), placed AS (
  INSERT INTO pushed_from (reference_hash, source_hash) SELECT reference_hash, $6 FROM pushed WHERE $6 IS NOT NULL
)
SELECT CASE WHEN NOT EXISTS (SELECT FROM pushed)
            THEN greatest(1, ceil(extract(epoch FROM first_end - statement_timestamp())))::int4 END AS wait,
       audit_record($1, CASE WHEN EXISTS (SELECT FROM pushed) THEN 'allowed' ELSE 'denied' END,
                    CASE WHEN NOT EXISTS (SELECT FROM pushed) THEN $8 END, '{}', '{}', '{}', '{}')
  FROM waiting";

/// 1 reference, 2 client, 3 seconds that the request lasts from its first opening.
const OPEN: &str = "
UPDATE pushed_request
   SET opened_at = coalesce(opened_at, clock_timestamp()),
       expires_at = CASE WHEN opened_at IS NULL THEN clock_timestamp() + $3 * interval '1 second' ELSE expires_at END
 WHERE reference_hash = $1 AND client_id = $2 AND expires_at > clock_timestamp()
RETURNING parameters, opened_at";

impl Store {
    /// Stores a request that a client pushed, if not too many wait, with the audit record, in one statement.
    pub async fn push_request(&self, context: &Context, new: &NewPushedRequest<'_>) -> Result<Push, StoreError> {
        let client = self.connection().await?;
        let types =
            [Type::JSONB, Type::BYTEA, Type::INT4, Type::TEXT, Type::TIMESTAMPTZ, Type::BYTEA, Type::INT4, Type::TEXT];
        let statement = client.prepare_typed_cached(PUSH, &types).await?;
        let row = client
            .query_one(
                &statement,
                &[
                    &Json(context),
                    &new.reference.as_bytes().as_slice(),
                    &new.client,
                    &new.parameters,
                    &new.expires_at,
                    &new.bound.as_ref().map(|bound| bound.source.as_bytes().as_slice()),
                    &new.bound.map(|bound| bound.most),
                    &RefusedBy::Layer(Layer::Token).name(),
                ],
            )
            .await?;
        let wait: Option<i32> = row.try_get("wait")?;
        Ok(wait.map_or(Push::Stored, |seconds| Push::Wait(seconds.unsigned_abs())))
    }

    /// The request of a client that a reference stands for, which a browser has brought: from the first time on it lasts as
    /// long as a sign-in takes, and no longer. None: there is none, or no more.
    pub async fn open_pushed_request(&self, reference: &TokenHash, client: i32) -> Result<Option<Pushed>, StoreError> {
        let connection = self.connection().await?;
        let statement = connection.prepare_typed_cached(OPEN, &[Type::BYTEA, Type::INT4, Type::FLOAT8]).await?;
        let seconds = pushed::LASTS.as_secs_f64();
        let row = connection.query_opt(&statement, &[&reference.as_bytes().as_slice(), &client, &seconds]).await?;
        row.map(|row| Ok(Pushed { parameters: row.try_get("parameters")?, opened_at: row.try_get("opened_at")? }))
            .transpose()
    }

    /// Uses up a request, because it is being answered. False: it was answered already. Of two answers at the same time, the
    /// row lock lets one through.
    pub async fn use_pushed_request(&self, reference: &TokenHash, client: i32) -> Result<bool, StoreError> {
        let connection = self.connection().await?;
        let statement = connection
            .prepare_typed_cached(
                "DELETE FROM pushed_request WHERE reference_hash = $1 AND client_id = $2",
                &[Type::BYTEA, Type::INT4],
            )
            .await?;
        Ok(connection.execute(&statement, &[&reference.as_bytes().as_slice(), &client]).await? == 1)
    }
}
