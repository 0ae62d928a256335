//! Clients, as the endpoints of OAuth look them up, and the assertions that they used.

use crate::{Store, StoreError};
use oauth::{
    AuthMethod, Client, ClientKind, Credential, GrantType, KeySet, KeySource, Scope, TokenHash, assertion::SingleUse,
};
use serde_json::Value;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// The column list of a client.
const CLIENT: &str = "c.id, c.client_id, c.name, c.secret_hash, c.redirect_uris, c.grant_types, c.scopes,
  c.skip_authorization, c.token_endpoint_auth_method, c.jwks, c.jwks_uri, c.resource_uri, c.whole_access,
  c.require_pushed_requests";

impl Store {
    /// The client with this `client_id`.
    pub async fn client(&self, client_id: &str) -> Result<Option<Client>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(&format!(
                "SELECT {CLIENT} FROM oauth_client c WHERE c.client_id = $1 AND c.deleted_at IS NULL AND c.contained_at IS NULL"
            ))
            .await?;
        client.query_opt(&statement, &[&client_id]).await?.as_ref().map(client_of).transpose()
    }

    /// The `client_id` of the client that a refresh token was issued to, whatever the token is still worth.
    pub async fn client_of_refresh(&self, refresh: &TokenHash) -> Result<Option<String>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT c.client_id
                   FROM refresh_token r JOIN oauth_grant g ON g.id = r.grant_id JOIN oauth_client c ON c.id = g.client_id
                  WHERE r.token_hash = $1",
            )
            .await?;
        let row = client.query_opt(&statement, &[&refresh.as_bytes().as_slice()]).await?;
        Ok(row.map(|row| row.try_get("client_id")).transpose()?)
    }

    /// Whether each of these URIs is that of a resource server (RFC 8707 section 2).
    pub async fn are_resources(&self, uris: &[&str]) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                "SELECT bool_and(EXISTS (
                   SELECT FROM oauth_client c WHERE rtrim(c.resource_uri, '/') = rtrim(asked.uri, '/') AND c.deleted_at IS NULL))
                   FROM unnest($1) asked (uri)",
                &[Type::TEXT_ARRAY],
            )
            .await?;
        Ok(client.query_one(&statement, &[&uris]).await?.try_get::<_, Option<bool>>(0)?.unwrap_or(true))
    }

    /// Keeps the id of a client's assertion until the assertion expires, and forgets those that have. False: the client
    /// used it before (RFC 7523 section 3). Of two at the same time, the primary key lets one through.
    pub async fn use_assertion(&self, client_id: i32, used: &SingleUse) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                "WITH over AS (
                   DELETE FROM client_assertion
                    WHERE client_id = $1 AND jti_hash <> $2 AND expires_at < clock_timestamp() - interval '1 minute'
                 )
                 INSERT INTO client_assertion (client_id, jti_hash, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                &[Type::INT4, Type::BYTEA, Type::TIMESTAMPTZ],
            )
            .await?;
        Ok(client.execute(&statement, &[&client_id, &used.id.as_bytes().as_slice(), &used.expires_at]).await? == 1)
    }
}

fn client_of(row: &Row) -> Result<Client, StoreError> {
    let grant_types: Vec<String> = row.try_get("grant_types")?;
    let scopes: Vec<String> = row.try_get("scopes")?;
    Ok(Client {
        id: row.try_get("id")?,
        client_id: row.try_get("client_id")?,
        name: row.try_get("name")?,
        kind: kind_of(row)?,
        redirect_uris: row.try_get("redirect_uris")?,
        grant_types: grant_types
            .iter()
            .map(|name| GrantType::parse(name).ok_or(StoreError::Corrupt("grant_types")))
            .collect::<Result<_, _>>()?,
        scopes: Scope::of(&scopes).map_err(|_| StoreError::Corrupt("scopes"))?,
        skip_authorization: row.try_get("skip_authorization")?,
        resource_uri: row.try_get("resource_uri")?,
        whole_access: row.try_get("whole_access")?,
        requires_pushed_requests: row.try_get("require_pushed_requests")?,
    })
}

fn kind_of(row: &Row) -> Result<ClientKind, StoreError> {
    let method = AuthMethod::parse(row.try_get("token_endpoint_auth_method")?);
    let secret_hash: Option<&[u8]> = row.try_get("secret_hash")?;
    let secret_hash = secret_hash
        .map(|bytes| bytes.try_into().map(TokenHash::from_bytes).map_err(|_| StoreError::Corrupt("secret_hash")))
        .transpose()?;
    let jwks: Option<Json<Value>> = row.try_get("jwks")?;
    let jwks_uri: Option<String> = row.try_get("jwks_uri")?;
    let credential = match (method, secret_hash, jwks, jwks_uri) {
        (Some(AuthMethod::None), None, None, None) => return Ok(ClientKind::Public),
        (Some(AuthMethod::SecretBasic), Some(hash), None, None) => Credential::SecretBasic(hash),
        (Some(AuthMethod::SecretPost), Some(hash), None, None) => Credential::SecretPost(hash),
        (Some(AuthMethod::PrivateKeyJwt), None, Some(Json(keys)), None) => Credential::PrivateKey(KeySource::Value(
            KeySet::from_value(&keys).map_err(|_| StoreError::Corrupt("jwks"))?,
        )),
        (Some(AuthMethod::PrivateKeyJwt), None, None, Some(url)) => Credential::PrivateKey(KeySource::Url(url)),
        _ => return Err(StoreError::Corrupt("token_endpoint_auth_method")),
    };
    Ok(ClientKind::Confidential(credential))
}
