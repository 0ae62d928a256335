//! Second factors: authenticators, recovery codes, codes by e-mail, and the sign-ins that wait for one.

use crate::{Store, StoreError, session::recorded};
use audit::{Context, RefusedBy, Target};
use authz::{Layer, UserId};
use jiff::Timestamp;
use oauth::{
    TokenHash,
    factor::{EMAIL_CODE_TRIES, Step},
};
use tokio_postgres::types::{Json, Type};

/// An enrolled authenticator.
#[derive(Clone, Debug)]
pub struct Authenticator {
    /// The secret, encrypted.
    pub sealed: Vec<u8>,
    /// The last step whose code was used.
    pub last_step: Step,
}

/// An authenticator to enrol.
#[derive(Debug)]
pub struct NewAuthenticator<'a> {
    /// Whose it is.
    pub user: UserId,
    /// The secret, encrypted.
    pub sealed: &'a [u8],
    /// The step of the code by which it was confirmed.
    pub step: Step,
    /// The hashes of the recovery codes.
    pub recovery: &'a [TokenHash],
    /// Whether it may take the place of one that is enrolled.
    pub replaces: bool,
}

impl Store {
    /// Keeps that a right password waits for its second step, with the audit record, in one statement.
    pub async fn start_challenge(
        &self,
        context: &Context,
        token: &TokenHash,
        user: UserId,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH started AS (INSERT INTO login_challenge (token_hash, user_id, expires_at) VALUES ($2, $3, $4))
                     {} FROM app_user u WHERE u.id = $3",
                    recorded()
                ),
                &[Type::JSONB, Type::BYTEA, Type::INT4, Type::TIMESTAMPTZ],
            )
            .await?;
        let token = token.as_bytes().as_slice();
        client.query_one(&statement, &[&Json(context), &token, &user.0, &expires_at]).await?;
        Ok(())
    }

    /// Whose sign-in waits under this token, while it may.
    pub async fn challenge(&self, token: &TokenHash) -> Result<Option<UserId>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT c.user_id FROM login_challenge c JOIN app_user u ON u.id = c.user_id AND u.is_active
                  WHERE c.token_hash = $1 AND c.expires_at > statement_timestamp()",
            )
            .await?;
        let row = client.query_opt(&statement, &[&token.as_bytes().as_slice()]).await?;
        row.map(|row| Ok(UserId(row.try_get(0)?))).transpose()
    }

    /// The authenticator of a user.
    pub async fn authenticator(&self, user: UserId) -> Result<Option<Authenticator>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_cached("SELECT secret, last_step FROM totp_factor WHERE user_id = $1").await?;
        let row = client.query_opt(&statement, &[&user.0]).await?;
        row.map(|row| Ok(Authenticator { sealed: row.try_get("secret")?, last_step: Step(row.try_get("last_step")?) }))
            .transpose()
    }

    /// Uses the code of a step. False: it, or a later one, was used before.
    pub async fn use_step(&self, user: UserId, step: Step) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached("UPDATE totp_factor SET last_step = $2 WHERE user_id = $1 AND last_step < $2")
            .await?;
        Ok(client.execute(&statement, &[&user.0, &step.0]).await? == 1)
    }

    /// Uses a recovery code, with the audit record, in one statement. False: there is no such code, or it was used.
    pub async fn use_recovery_code(
        &self,
        context: &Context,
        user: UserId,
        code: &TokenHash,
    ) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH used AS (
                       UPDATE recovery_code SET used_at = clock_timestamp()
                        WHERE user_id = $2 AND code_hash = $3 AND used_at IS NULL RETURNING user_id
                     )
                     {} FROM used JOIN app_user u ON u.id = used.user_id",
                    recorded()
                ),
                &[Type::JSONB, Type::INT4, Type::BYTEA],
            )
            .await?;
        let rows = client.execute(&statement, &[&Json(context), &user.0, &code.as_bytes().as_slice()]).await?;
        Ok(rows == 1)
    }

    /// How many recovery codes a user has left.
    pub async fn recovery_codes_left(&self, user: UserId) -> Result<i64, StoreError> {
        let client = self.connection().await?;
        let statement =
            client.prepare_cached("SELECT count(*) FROM recovery_code WHERE user_id = $1 AND used_at IS NULL").await?;
        Ok(client.query_one(&statement, &[&user.0]).await?.try_get(0)?)
    }

    /// Enrols an authenticator with its recovery codes, with the audit record, in one transaction. False: there is one
    /// already and this one may not take its place.
    pub async fn enrol_authenticator(&self, context: &Context, new: &NewAuthenticator<'_>) -> Result<bool, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let enrol = transaction
            .prepare_typed_cached(
                "INSERT INTO totp_factor AS f (user_id, secret, last_step) VALUES ($1, $2, $3)
                 ON CONFLICT (user_id) DO UPDATE
                    SET secret = EXCLUDED.secret, last_step = EXCLUDED.last_step, confirmed_at = clock_timestamp()
                  WHERE $4",
                &[Type::INT4, Type::BYTEA, Type::INT8, Type::BOOL],
            )
            .await?;
        if transaction.execute(&enrol, &[&new.user.0, &new.sealed, &new.step.0, &new.replaces]).await? == 0 {
            return Ok(false);
        }
        let forget = transaction.prepare_cached("DELETE FROM recovery_code WHERE user_id = $1").await?;
        transaction.execute(&forget, &[&new.user.0]).await?;
        let keep = transaction
            .prepare_typed_cached(
                &format!(
                    "WITH kept AS (
                       INSERT INTO recovery_code (user_id, code_hash) SELECT $2, hash FROM unnest($3::bytea[]) hash
                     )
                     {} FROM app_user u WHERE u.id = $2",
                    recorded()
                ),
                &[Type::JSONB, Type::INT4, Type::BYTEA_ARRAY],
            )
            .await?;
        let hashes: Vec<&[u8]> = new.recovery.iter().map(|hash| hash.as_bytes().as_slice()).collect();
        transaction.query_one(&keep, &[&Json(context), &new.user.0, &hashes]).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Removes the authenticator and the recovery codes of a user, with the audit record, in one statement.
    pub async fn remove_authenticator(&self, context: &Context, user: UserId) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH removed AS (DELETE FROM totp_factor WHERE user_id = $2 RETURNING user_id),
                          codes AS (DELETE FROM recovery_code WHERE user_id = $2)
                     {} FROM removed r JOIN app_user u ON u.id = r.user_id",
                    recorded()
                ),
                &[Type::JSONB, Type::INT4],
            )
            .await?;
        client.execute(&statement, &[&Json(context), &user.0]).await?;
        Ok(())
    }

    /// Whether a client, by its row, asks for a code by e-mail.
    pub async fn asks_email_code(&self, client: i32) -> Result<bool, StoreError> {
        let connection = self.connection().await?;
        let statement = connection.prepare_cached("SELECT email_code FROM oauth_client WHERE id = $1").await?;
        let row = connection.query_opt(&statement, &[&client]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(true))
    }

    /// Keeps the code that was sent by e-mail for a session, with the audit record, in one statement. One that was sent
    /// before is worth nothing from now on.
    pub async fn keep_email_code(
        &self,
        context: &Context,
        session: &TokenHash,
        code: &TokenHash,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH kept AS (
                       INSERT INTO email_code (session_hash, code_hash, expires_at) VALUES ($2, $3, $4)
                       ON CONFLICT (session_hash) DO UPDATE
                          SET code_hash = EXCLUDED.code_hash, expires_at = EXCLUDED.expires_at, tries = 0
                     )
                     {} FROM login_session s JOIN app_user u ON u.id = s.user_id WHERE s.token_hash = $2",
                    recorded()
                ),
                &[Type::JSONB, Type::BYTEA, Type::BYTEA, Type::TIMESTAMPTZ],
            )
            .await?;
        let (session, code) = (session.as_bytes().as_slice(), code.as_bytes().as_slice());
        client.execute(&statement, &[&Json(context), &session, &code, &expires_at]).await?;
        Ok(())
    }

    /// Tries the code for a session, with the audit record, in one transaction. A right one is used up and kept as a
    /// method of the session.
    pub async fn try_email_code(
        &self,
        context: &Context,
        session: &TokenHash,
        code: &TokenHash,
    ) -> Result<bool, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let session = session.as_bytes().as_slice();
        let attempt = transaction
            .prepare_cached(
                "UPDATE email_code SET tries = tries + 1
                  WHERE session_hash = $1 AND tries < $2 AND expires_at > clock_timestamp()
                 RETURNING code_hash",
            )
            .await?;
        let row = transaction.query_opt(&attempt, &[&session, &EMAIL_CODE_TRIES]).await?;
        let stored: Option<[u8; 32]> =
            row.and_then(|row| row.try_get::<_, &[u8]>(0).ok().and_then(|bytes| bytes.try_into().ok()));
        let is_right = stored.is_some_and(|stored| TokenHash::from_bytes(stored) == *code);
        if is_right {
            let accept = transaction
                .prepare_typed_cached(
                    &format!(
                        "WITH used AS (DELETE FROM email_code WHERE session_hash = $2),
                              accepted AS (
                                UPDATE login_session SET methods = array_append(array_remove(methods, 'email'), 'email')
                                 WHERE token_hash = $2 RETURNING user_id
                              ), verified AS (
                                UPDATE app_user u SET email_verified_at = clock_timestamp()
                                  FROM accepted a WHERE u.id = a.user_id AND u.email_verified_at IS NULL
                              )
                         {} FROM accepted a JOIN app_user u ON u.id = a.user_id",
                        recorded()
                    ),
                    &[Type::JSONB, Type::BYTEA],
                )
                .await?;
            transaction.query_one(&accept, &[&Json(context), &session]).await?;
        } else {
            let reason = RefusedBy::Layer(Layer::Token);
            crate::refusal::record(&transaction, context, &Target::nothing(), reason).await?;
        }
        transaction.commit().await?;
        Ok(is_right)
    }
}
