//! Authorization requests that clients pushed (RFC 9126). Only hashes of their references are stored.

use crate::{Store, StoreError};
use audit::Context;
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
}

/// 1 audit context, 2 reference, 3 client, 4 parameters, 5 end. Those whose time is over go with every new one, some at a
/// time, so that there are never many.
const PUSH: &str = "
WITH gone AS (
  DELETE FROM pushed_request WHERE reference_hash IN (
    SELECT reference_hash FROM pushed_request WHERE expires_at < clock_timestamp() LIMIT 8 FOR UPDATE SKIP LOCKED)
), pushed AS (
  INSERT INTO pushed_request (reference_hash, client_id, parameters, expires_at) VALUES ($2, $3, $4, $5)
)
SELECT audit_record($1, 'allowed', NULL, '{}', '{}', '{}', '{}')";

/// 1 reference, 2 client, 3 seconds that the request lasts from its first opening.
const OPEN: &str = "
UPDATE pushed_request
   SET opened_at = coalesce(opened_at, clock_timestamp()),
       expires_at = CASE WHEN opened_at IS NULL THEN clock_timestamp() + $3 * interval '1 second' ELSE expires_at END
 WHERE reference_hash = $1 AND client_id = $2 AND expires_at > clock_timestamp()
RETURNING parameters, opened_at";

impl Store {
    /// Stores a request that a client pushed, with the audit record, in one statement.
    pub async fn push_request(&self, context: &Context, new: &NewPushedRequest<'_>) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::BYTEA, Type::INT4, Type::TEXT, Type::TIMESTAMPTZ];
        let statement = client.prepare_typed_cached(PUSH, &types).await?;
        let reference = new.reference.as_bytes().as_slice();
        client
            .query_one(&statement, &[&Json(context), &reference, &new.client, &new.parameters, &new.expires_at])
            .await?;
        Ok(())
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
