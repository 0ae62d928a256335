//! Accounts.

use crate::{Store, StoreError};
use authz::UserId;
use tokio_postgres::types::{Json, Type};

/// What a login needs of an account.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user.
    pub id: UserId,
    /// The Argon2id hash of the password in PHC format; none when no password was ever set.
    pub password_hash: Option<String>,
    /// Wrong passwords in a row.
    pub failures: i32,
    /// Seconds since the last wrong password.
    pub seconds_since_failure: Option<f64>,
}

/// A user's own profile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// From 10001.
    pub id: i32,
    /// Also the name to log in with.
    pub email: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// `patient` or `practitioner`.
    pub user_type: String,
    /// True for a super admin.
    pub is_superuser: bool,
    /// The practitioner's settings of the console, if the user is one.
    pub settings: Option<serde_json::Value>,
}

impl Store {
    /// The active account with this e-mail, and how often its password was guessed wrong. `account_hash` is the key
    /// under which failures are counted, also for accounts that do not exist.
    pub async fn account(&self, email: &str, account_hash: &[u8; 32]) -> Result<(Option<Account>, i32, Option<f64>), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                "SELECT u.id, u.password_hash, coalesce(f.failures, 0) AS failures,
                        extract(epoch FROM clock_timestamp() - f.last_failure)::float8 AS seconds
                   FROM (SELECT $1 AS email, $2 AS account_hash) asked
                   LEFT JOIN app_user u ON lower(u.email) = lower(asked.email) AND u.is_active
                   LEFT JOIN login_failure f ON f.account_hash = asked.account_hash",
                &[Type::TEXT, Type::BYTEA],
            )
            .await?;
        let row = client.query_one(&statement, &[&email, &account_hash.as_slice()]).await?;
        let failures: i32 = row.try_get("failures")?;
        let seconds: Option<f64> = row.try_get("seconds")?;
        let account = row.try_get::<_, Option<i32>>("id")?.map(|id| {
            row.try_get("password_hash").map(|password_hash| Account {
                id: UserId(id),
                password_hash,
                failures,
                seconds_since_failure: seconds,
            })
        });
        Ok((account.transpose()?, failures, seconds))
    }

    /// Counts a wrong password.
    pub async fn record_login_failure(&self, account_hash: &[u8; 32]) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "INSERT INTO login_failure (account_hash, failures, last_failure) VALUES ($1, 1, clock_timestamp())
                 ON CONFLICT (account_hash) DO UPDATE
                    SET failures = login_failure.failures + 1, last_failure = clock_timestamp()",
            )
            .await?;
        client.execute(&statement, &[&account_hash.as_slice()]).await?;
        Ok(())
    }

    /// Forgets the wrong passwords of an account after a right one.
    pub async fn clear_login_failures(&self, account_hash: &[u8; 32]) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement =
            client.prepare_cached("DELETE FROM login_failure WHERE account_hash = $1").await?;
        client.execute(&statement, &[&account_hash.as_slice()]).await?;
        Ok(())
    }

    /// A user's own profile.
    pub async fn profile(&self, user: UserId) -> Result<Option<Profile>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT u.id, u.email, u.first_name, u.last_name, u.user_type, u.is_superuser, p.settings
                   FROM app_user u LEFT JOIN practitioner p ON p.user_id = u.id
                  WHERE u.id = $1",
            )
            .await?;
        let Some(row) = client.query_opt(&statement, &[&user.0]).await? else {
            return Ok(None);
        };
        Ok(Some(Profile {
            id: row.try_get("id")?,
            email: row.try_get("email")?,
            first_name: row.try_get("first_name")?,
            last_name: row.try_get("last_name")?,
            user_type: row.try_get("user_type")?,
            is_superuser: row.try_get("is_superuser")?,
            settings: row.try_get::<_, Option<Json<serde_json::Value>>>("settings")?.map(|json| json.0),
        }))
    }
}
