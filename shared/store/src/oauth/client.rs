//! Clients, as the endpoints of OAuth look them up.

use crate::{Store, StoreError};
use oauth::{Client, ClientKind, GrantType, Scope, TokenHash};
use tokio_postgres::Row;

/// The column list of a client.
const CLIENT: &str =
    "c.id, c.client_id, c.name, c.secret_hash, c.redirect_uris, c.grant_types, c.scopes, c.skip_authorization";

impl Store {
    /// The client with this `client_id`.
    pub async fn client(&self, client_id: &str) -> Result<Option<Client>, StoreError> {
        let client = self.connection().await?;
        let statement =
            client.prepare_cached(&format!("SELECT {CLIENT} FROM oauth_client c WHERE c.client_id = $1")).await?;
        client.query_opt(&statement, &[&client_id]).await?.as_ref().map(client_of).transpose()
    }
}

fn client_of(row: &Row) -> Result<Client, StoreError> {
    let secret_hash: Option<&[u8]> = row.try_get("secret_hash")?;
    let kind = match secret_hash {
        None => ClientKind::Public,
        Some(bytes) => ClientKind::Confidential {
            secret_hash: TokenHash::from_bytes(bytes.try_into().map_err(|_| StoreError::Corrupt("secret_hash"))?),
        },
    };
    let grant_types: Vec<String> = row.try_get("grant_types")?;
    let scopes: Vec<String> = row.try_get("scopes")?;
    Ok(Client {
        id: row.try_get("id")?,
        client_id: row.try_get("client_id")?,
        name: row.try_get("name")?,
        kind,
        redirect_uris: row.try_get("redirect_uris")?,
        grant_types: grant_types
            .iter()
            .map(|name| GrantType::parse(name).ok_or(StoreError::Corrupt("grant_types")))
            .collect::<Result<_, _>>()?,
        scopes: Scope::parse(&scopes.join(" ")).map_err(|_| StoreError::Corrupt("scopes"))?,
        skip_authorization: row.try_get("skip_authorization")?,
    })
}
