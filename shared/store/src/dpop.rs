//! Proofs that were used (RFC 9449 section 11.1).

use crate::{Store, StoreError};
use oauth::dpop::Proof;
use tokio_postgres::types::Type;

/// 1 id, 2 its end. Those whose time is over go with every new one, some at a time, so that there are never many.
const USE: &str = "
WITH gone AS (
  DELETE FROM dpop_proof WHERE id_hash IN (
    SELECT id_hash FROM dpop_proof
     WHERE expires_at < clock_timestamp() - interval '1 minute' AND id_hash <> $1 LIMIT 8 FOR UPDATE SKIP LOCKED)
)
INSERT INTO dpop_proof (id_hash, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";

impl Store {
    /// Uses a proof. False when it was used before.
    pub async fn use_proof(&self, proof: &Proof) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(USE, &[Type::BYTEA, Type::TIMESTAMPTZ]).await?;
        Ok(client.execute(&statement, &[&proof.id.as_bytes().as_slice(), &proof.expires_at]).await? == 1)
    }
}
