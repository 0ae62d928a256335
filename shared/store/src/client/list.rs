//! Reading the registered clients.

use super::{ClientSummary, RegisteredClient};
use crate::{
    Slice, Store, StoreError,
    page::{self, Order, Page},
};
use serde_json::Value;
use std::sync::LazyLock;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// 1 a client or all, 2 whether those too that nobody can be invited to and that practitioners made for themselves.
const REGISTERED: &str = "
SELECT c.id, c.name, c.client_id, c.invitation_url, c.redirect_uris, c.grant_types, c.scopes, c.token_endpoint_auth_method,
       c.jwks, c.jwks_uri, c.skip_authorization, c.resource_uri, c.acts_as, c.owned_by, c.created_at, c.whole_access,
       c.post_logout_redirect_uris, c.require_pushed_requests, c.email_code, c.static_pkce, c.last_updated
  FROM oauth_client c
 WHERE c.deleted_at IS NULL AND ($1::int IS NULL OR c.id = $1)
   AND ($2 OR c.owned_by IS NULL AND c.invitation_url IS NOT NULL)";

static PAGE: LazyLock<String> = LazyLock::new(|| page::statement(REGISTERED, Order::Id, 3));

impl Store {
    /// A page of the registered clients that patients can be invited to, by id. `all`: the others too, and those that
    /// practitioners made for themselves.
    pub async fn registered_clients(&self, all: bool, slice: Slice) -> Result<Page<RegisteredClient>, StoreError> {
        let client = self.connection().await?;
        let types = [[Type::INT4, Type::BOOL].as_slice(), &page::TYPES].concat();
        let statement = client.prepare_typed_cached(&PAGE, &types).await?;
        let page = page::Values::from(slice);
        let rows =
            client.query(&statement, &[&None::<i32>, &all, &page.after, &page.count, &page.skip, &page.far]).await?;
        page::read(&rows, registered)
    }

    /// The registered client with this id, if it is one of those.
    pub async fn registered_client(&self, id: i32, all: bool) -> Result<Option<RegisteredClient>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(REGISTERED, &[Type::INT4, Type::BOOL]).await?;
        client.query_opt(&statement, &[&Some(id), &all]).await?.as_ref().map(registered).transpose()
    }
}

fn registered(row: &Row) -> Result<RegisteredClient, StoreError> {
    Ok(RegisteredClient {
        summary: ClientSummary {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            client_id: row.try_get("client_id")?,
            invitation_url: row.try_get("invitation_url")?,
        },
        redirect_uris: row.try_get("redirect_uris")?,
        grant_types: row.try_get("grant_types")?,
        scopes: row.try_get("scopes")?,
        token_endpoint_auth_method: row.try_get("token_endpoint_auth_method")?,
        jwks: row.try_get::<_, Option<Json<Value>>>("jwks")?.map(|Json(keys)| keys),
        jwks_uri: row.try_get("jwks_uri")?,
        skip_authorization: row.try_get("skip_authorization")?,
        resource_uri: row.try_get("resource_uri")?,
        whole_access: row.try_get("whole_access")?,
        require_pushed_authorization_requests: row.try_get("require_pushed_requests")?,
        post_logout_redirect_uris: row.try_get("post_logout_redirect_uris")?,
        acts_as: row.try_get("acts_as")?,
        email_code: row.try_get("email_code")?,
        static_pkce: row.try_get("static_pkce")?,
        owned_by: row.try_get("owned_by")?,
        created: row.try_get("created_at")?,
        last_updated: row.try_get("last_updated")?,
    })
}
