//! Accounts.

mod change;
mod read;

pub use change::{NewUser, Standing, StandingChange, UserChange};
pub use read::{User, UserPage};

use crate::{Store, StoreError};
use authz::UserId;
use tokio_postgres::types::Json;

/// A user's own profile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// From 10001.
    pub id: i32,
    /// Also the name to log in with.
    pub email: String,
    /// Whether it was shown that the user receives mail there.
    pub email_verified: bool,
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
    /// The patient, if the user is one.
    pub patient: Option<i32>,
    /// The practitioner, if the user is one.
    pub practitioner: Option<i32>,
}

impl Store {
    /// A user's own profile.
    pub async fn profile(&self, user: UserId) -> Result<Option<Profile>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT u.id, u.email, u.email_verified_at IS NOT NULL AS email_verified, u.first_name, u.last_name, u.user_type,
                        u.is_superuser, p.settings,
                        p.id AS practitioner_id, (SELECT id FROM patient WHERE user_id = u.id) AS patient_id
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
            email_verified: row.try_get("email_verified")?,
            first_name: row.try_get("first_name")?,
            last_name: row.try_get("last_name")?,
            user_type: row.try_get("user_type")?,
            is_superuser: row.try_get("is_superuser")?,
            settings: row.try_get::<_, Option<Json<serde_json::Value>>>("settings")?.map(|json| json.0),
            patient: row.try_get("patient_id")?,
            practitioner: row.try_get("practitioner_id")?,
        }))
    }
}
