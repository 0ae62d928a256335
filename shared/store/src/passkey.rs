//! Passkeys, and the challenges that wait for their answers.

use crate::{
    Store, StoreError,
    factor::{Factors, keep_recovery_codes, lock_factors, raise_session},
    session::recorded,
};
use audit::Context;
use authz::UserId;
use jiff::Timestamp;
use oauth::TokenHash;
use tokio_postgres::types::{Json, Type};

/// What a challenge is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceremony {
    /// To register a passkey.
    Register,
    /// To sign in with a passkey alone.
    SignIn,
    /// To complete a sign-in.
    SecondStep,
}

impl Ceremony {
    const fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::SignIn => "sign_in",
            Self::SecondStep => "second_step",
        }
    }
}

/// A passkey in the list of one's own.
#[derive(Clone, Debug)]
pub struct Passkey {
    /// Its number.
    pub id: i32,
    /// The id that authenticators know it by.
    pub credential_id: Vec<u8>,
    /// What its owner called it.
    pub name: String,
    /// Whether it is on several devices.
    pub backed_up: bool,
    /// Since when it is registered.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// A passkey, as an assertion is judged by it.
#[derive(Clone, Debug)]
pub struct KnownPasskey {
    /// Its number.
    pub id: i32,
    /// Whose it is.
    pub user: UserId,
    /// By what authenticators know the user.
    pub handle: Vec<u8>,
    /// Its key, as the authenticator wrote it.
    pub key: Vec<u8>,
    /// How often it was used, as the authenticator counts.
    pub count: u32,
    /// Whether it may be on several devices.
    pub backup_eligible: bool,
}

/// A passkey to register.
#[derive(Debug)]
pub struct NewPasskey<'a> {
    /// Whose it is.
    pub user: UserId,
    /// The id that authenticators know it by.
    pub credential_id: &'a [u8],
    /// Its key, as the authenticator wrote it.
    pub key: &'a [u8],
    /// How often it was used.
    pub count: u32,
    /// Whether it may be on several devices.
    pub backup_eligible: bool,
    /// Whether it is.
    pub backed_up: bool,
    /// What its owner calls it.
    pub name: &'a str,
    /// The hashes of recovery codes, for who has none left.
    pub recovery: &'a [TokenHash],
    /// The session in which this is done. None: a sign-in waits for its first factor, and there may be no other one.
    pub session: Option<TokenHash>,
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// It is registered, and the recovery codes count, if somebody had none left.
    Yes {
        /// Whether the new recovery codes count.
        new_codes: bool,
    },
    /// There is a factor already, so the password alone does not add one.
    HasFactor,
    /// The account has as many as it may have.
    TooMany,
    /// Somebody registered this credential before.
    Taken,
}

/// The most passkeys of one account.
const MOST: i64 = 20;

/// One open challenge for each browser and purpose; those that lapsed go.
const OPEN: &str = "
WITH lapsed AS (DELETE FROM passkey_challenge WHERE expires_at < clock_timestamp() - interval '1 hour')
INSERT INTO passkey_challenge (binding_hash, purpose, challenge_hash, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (binding_hash, purpose) DO UPDATE
   SET challenge_hash = EXCLUDED.challenge_hash, expires_at = EXCLUDED.expires_at";

impl Store {
    /// Keeps a challenge for whoever has `binding`. The one of before is worth nothing any more.
    pub async fn open_ceremony(
        &self,
        ceremony: Ceremony,
        binding: &TokenHash,
        challenge: &TokenHash,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let types = [Type::BYTEA, Type::TEXT, Type::BYTEA, Type::TIMESTAMPTZ];
        let statement = client.prepare_typed_cached(OPEN, &types).await?;
        let (binding, challenge) = (binding.as_bytes().as_slice(), challenge.as_bytes().as_slice());
        client.execute(&statement, &[&binding, &ceremony.name(), &challenge, &expires_at]).await?;
        Ok(())
    }

    /// Takes the challenge that waits for whoever has `binding`: each is there for one answer.
    pub async fn take_ceremony(
        &self,
        ceremony: Ceremony,
        binding: &TokenHash,
    ) -> Result<Option<TokenHash>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "DELETE FROM passkey_challenge WHERE binding_hash = $1 AND purpose = $2
                 RETURNING challenge_hash, expires_at > clock_timestamp() AS is_open",
            )
            .await?;
        let row = client.query_opt(&statement, &[&binding.as_bytes().as_slice(), &ceremony.name()]).await?;
        let Some(row) = row else { return Ok(None) };
        let hash: &[u8] = row.try_get("challenge_hash")?;
        let hash = TokenHash::from_bytes(hash.try_into().map_err(|_| StoreError::Corrupt("challenge_hash"))?);
        Ok(row.try_get::<_, bool>("is_open")?.then_some(hash))
    }

    /// By what authenticators know a user: `fresh`, if nothing was chosen before.
    pub async fn passkey_handle(&self, user: UserId, fresh: &[u8; 32]) -> Result<Vec<u8>, StoreError> {
        let client = self.connection().await?;
        let choose = client
            .prepare_cached("INSERT INTO passkey_owner (user_id, handle) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .await?;
        client.execute(&choose, &[&user.0, &fresh.as_slice()]).await?;
        let statement = client.prepare_cached("SELECT handle FROM passkey_owner WHERE user_id = $1").await?;
        Ok(client.query_one(&statement, &[&user.0]).await?.try_get(0)?)
    }

    /// The passkeys of a user, the oldest first.
    pub async fn passkeys(&self, user: UserId) -> Result<Vec<Passkey>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT id, credential_id, name, backed_up, created_at, last_used_at FROM passkey WHERE user_id = $1
                  ORDER BY id",
            )
            .await?;
        let rows = client.query(&statement, &[&user.0]).await?;
        rows.iter()
            .map(|row| {
                Ok(Passkey {
                    id: row.try_get("id")?,
                    credential_id: row.try_get("credential_id")?,
                    name: row.try_get("name")?,
                    backed_up: row.try_get("backed_up")?,
                    created_at: row.try_get("created_at")?,
                    last_used_at: row.try_get("last_used_at")?,
                })
            })
            .collect()
    }

    /// The passkey with this id, of an account that is open.
    pub async fn passkey(&self, credential_id: &[u8]) -> Result<Option<KnownPasskey>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT k.id, k.user_id, o.handle, k.public_key, k.use_count, k.backup_eligible
                   FROM passkey k JOIN passkey_owner o ON o.user_id = k.user_id
                   JOIN app_user u ON u.id = k.user_id AND u.is_active
                  WHERE k.credential_id = $1",
            )
            .await?;
        let row = client.query_opt(&statement, &[&credential_id]).await?;
        row.map(|row| {
            let count: i64 = row.try_get("use_count")?;
            Ok(KnownPasskey {
                id: row.try_get("id")?,
                user: UserId(row.try_get("user_id")?),
                handle: row.try_get("handle")?,
                key: row.try_get("public_key")?,
                count: u32::try_from(count).map_err(|_| StoreError::Corrupt("use_count"))?,
                backup_eligible: row.try_get("backup_eligible")?,
            })
        })
        .transpose()
    }

    /// Keeps that a passkey was used, with the audit record, in one statement. False: another use came first, and this one
    /// does not count on from it.
    pub async fn use_passkey(
        &self,
        context: &Context,
        passkey: i32,
        count: u32,
        backed_up: bool,
    ) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH used AS (
                       UPDATE passkey SET use_count = $3, backed_up = $4, last_used_at = clock_timestamp()
                        WHERE id = $2 AND (use_count < $3 OR use_count = 0 AND $3 = 0) RETURNING user_id
                     )
                     {} FROM used JOIN app_user u ON u.id = used.user_id",
                    recorded()
                ),
                &[Type::JSONB, Type::INT4, Type::INT8, Type::BOOL],
            )
            .await?;
        Ok(client.execute(&statement, &[&Json(context), &passkey, &i64::from(count), &backed_up]).await? == 1)
    }

    /// Registers a passkey, with the audit record, in one transaction.
    pub async fn add_passkey(&self, context: &Context, new: &NewPasskey<'_>) -> Result<Registered, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let factors = lock_factors(&transaction, new.user).await?;
        if new.session.is_none() && factors.count() > 0 {
            return Ok(Registered::HasFactor);
        }
        if factors.passkeys >= MOST {
            return Ok(Registered::TooMany);
        }
        let insert = transaction
            .prepare_typed_cached(
                &format!(
                    "WITH added AS (
                       INSERT INTO passkey (user_id, credential_id, public_key, use_count, backup_eligible, backed_up, name)
                       VALUES ($2, $3, $4, $5, $6, $7, $8) ON CONFLICT (credential_id) DO NOTHING RETURNING user_id
                     )
                     {} FROM added JOIN app_user u ON u.id = added.user_id",
                    recorded()
                ),
                &[Type::JSONB, Type::INT4, Type::BYTEA, Type::BYTEA, Type::INT8, Type::BOOL, Type::BOOL, Type::TEXT],
            )
            .await?;
        let added = transaction
            .execute(
                &insert,
                &[
                    &Json(context),
                    &new.user.0,
                    &new.credential_id,
                    &new.key,
                    &i64::from(new.count),
                    &new.backup_eligible,
                    &new.backed_up,
                    &new.name,
                ],
            )
            .await?;
        if added == 0 {
            return Ok(Registered::Taken);
        }
        let new_codes = factors.recovery_codes == 0;
        if new_codes {
            keep_recovery_codes(&transaction, new.user, new.recovery).await?;
        }
        raise_session(&transaction, new.session.as_ref(), "pop").await?;
        transaction.commit().await?;
        Ok(Registered::Yes { new_codes })
    }
}

impl Factors {
    /// How many factors there are.
    pub(crate) const fn count(&self) -> i64 {
        self.passkeys + self.authenticators
    }
}
