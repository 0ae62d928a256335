//! The demo world, written by the owner into an empty database. For demonstrations and tests only: everybody's
//! password is published.

use crate::{DatabaseConfig, LoginError, StoreError, migrate::connect_owner};
use jiff::Timestamp;
use oauth::TokenHash;

/// A user of the demo world.
#[derive(Clone, Debug)]
pub struct DemoUser {
    /// The account.
    pub id: i32,
    /// The name to log in with.
    pub email: String,
    /// `patient`, `practitioner` or `super_admin`.
    pub kind: String,
    /// The patient, if the user is one.
    pub patient: Option<i32>,
    /// The practitioner, if the user is one.
    pub practitioner: Option<i32>,
}

/// Writes the demo world, if the database has no users yet. `redirect_uri` becomes every client's, `password_hash`
/// everybody's. Returns false when the database was not empty and nothing was written.
pub async fn seed(owner: &DatabaseConfig, redirect_uri: &str, password_hash: &str) -> Result<bool, LoginError> {
    let mut client = connect_owner(owner).await?;
    let transaction = client.transaction().await.map_err(StoreError::from)?;
    let populated: bool =
        transaction.query_one("SELECT EXISTS (SELECT FROM app_user)", &[]).await.map_err(StoreError::from)?.get(0);
    if populated {
        return Ok(false);
    }
    transaction.batch_execute(include_str!("../demo/world.sql")).await.map_err(StoreError::from)?;
    transaction
        .execute("UPDATE oauth_client SET redirect_uris = ARRAY[$1::text]", &[&redirect_uri])
        .await
        .map_err(StoreError::from)?;
    transaction.execute("UPDATE app_user SET password_hash = $1", &[&password_hash]).await.map_err(StoreError::from)?;
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(true)
}

/// Replaces the redirect URI of the demo clients, unless somebody registered others for them.
pub async fn move_clients(owner: &DatabaseConfig, redirect_uri: &str) -> Result<(), LoginError> {
    let client = connect_owner(owner).await?;
    client
        .execute(
            "UPDATE oauth_client SET redirect_uris = ARRAY[$1::text]
              WHERE id <= 4 AND cardinality(redirect_uris) = 1 AND redirect_uris[1] LIKE '%/auth/callback'",
            &[&redirect_uri],
        )
        .await
        .map_err(StoreError::from)?;
    Ok(())
}

/// The users of the demo world, not those who came later.
pub async fn users(owner: &DatabaseConfig) -> Result<Vec<DemoUser>, LoginError> {
    let client = connect_owner(owner).await?;
    let rows = client
        .query(
            "SELECT u.id, u.email, CASE WHEN u.is_superuser THEN 'super_admin' ELSE u.user_type END AS kind,
                    p.id AS patient, pr.id AS practitioner
               FROM app_user u LEFT JOIN patient p ON p.user_id = u.id LEFT JOIN practitioner pr ON pr.user_id = u.id
              WHERE u.email LIKE '%@example.com' AND u.id BETWEEN 10001 AND 10011
              ORDER BY u.id",
            &[],
        )
        .await
        .map_err(StoreError::from)?;
    Ok(rows
        .iter()
        .map(|row| DemoUser {
            id: row.get("id"),
            email: row.get("email"),
            kind: row.get("kind"),
            patient: row.get("patient"),
            practitioner: row.get("practitioner"),
        })
        .collect())
}

/// Gives a user an access token for a client, without a login. Demo and tests only.
pub async fn issue_token(
    owner: &DatabaseConfig,
    tokens: &[(i32, TokenHash)],
    client_id: &str,
    expires_at: Timestamp,
) -> Result<(), LoginError> {
    let client = connect_owner(owner).await?;
    for (user, hash) in tokens {
        client
            .execute(
                "WITH granted AS (
                   INSERT INTO oauth_grant (user_id, client_id, scope, auth_time, methods)
                   SELECT $1, id, 'openid email', clock_timestamp(), '{pwd,otp,mfa}' FROM oauth_client WHERE client_id = $2 RETURNING id
                 )
                 INSERT INTO access_token (token_hash, grant_id, scope, expires_at)
                 SELECT $3, id, 'openid email', $4 FROM granted",
                &[user, &client_id, &hash.as_bytes().as_slice(), &expires_at],
            )
            .await
            .map_err(StoreError::from)?;
    }
    Ok(())
}
