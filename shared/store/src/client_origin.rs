//! The origins of clients.

use crate::{Store, StoreError};

impl Store {
    /// Whether a client is registered with a redirect URI at this origin.
    pub async fn is_client_origin(&self, origin: &str) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT EXISTS (
                   SELECT FROM oauth_client c CROSS JOIN unnest(c.redirect_uris) AS registered (uri)
                    WHERE c.deleted_at IS NULL
                      AND (uri = $1 OR starts_with(uri, $1 || '/') OR starts_with(uri, $1 || '?')))",
            )
            .await?;
        Ok(client.query_one(&statement, &[&origin]).await?.try_get(0)?)
    }
}
