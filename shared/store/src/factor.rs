//! Second factors: authenticators, recovery codes, codes by e-mail, and the sign-ins that wait for one.

use crate::{
    Store, StoreError,
    session::{Origin, recorded},
};
use audit::{Context, RefusedBy, Target};
use authz::{Layer, UserId};
use deadpool_postgres::Transaction;
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
    /// The session in which this is done. None: a sign-in waits for its first factor, and there may be no other one.
    pub session: Option<TokenHash>,
}

/// A factor to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// The authenticator.
    Authenticator,
    /// The passkey with this number.
    Passkey(i32),
}

/// What became of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone, and with the last one the recovery codes.
    Removed {
        /// Whether it was the last one.
        was_last: bool,
    },
    /// The account has no such factor.
    Unknown,
    /// It is the last one, and the account must have one.
    Needed,
}

/// A sign-in that is to wait for its second step.
#[derive(Debug)]
pub struct NewChallenge<'a> {
    /// The hash of its token.
    pub token: TokenHash,
    /// Who.
    pub user: UserId,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
    /// The identity provider that did the first step; none: it was a password.
    pub origin: Option<Origin<'a>>,
}

/// The first step of a sign-in that waits for its second one.
#[derive(Clone, Debug)]
pub struct FirstStep {
    /// Who.
    pub user: UserId,
    /// How it was done (RFC 8176).
    pub methods: Vec<String>,
}

/// How many factors a user has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factors {
    pub(crate) authenticators: i64,
    pub(crate) passkeys: i64,
    pub(crate) recovery_codes: i64,
}

/// Locks the factors of a user until the end of the transaction, and counts them.
pub(crate) async fn lock_factors(transaction: &Transaction<'_>, user: UserId) -> Result<Factors, StoreError> {
    let lock = transaction.prepare_cached("SELECT FROM app_user WHERE id = $1 FOR NO KEY UPDATE").await?;
    transaction.execute(&lock, &[&user.0]).await?;
    // A statement of its own: it sees what the one that held the lock before has done.
    let count = transaction
        .prepare_cached(
            "SELECT (SELECT count(*) FROM totp_factor WHERE user_id = $1) AS authenticators,
                    (SELECT count(*) FROM passkey WHERE user_id = $1) AS passkeys,
                    (SELECT count(*) FROM recovery_code WHERE user_id = $1 AND used_at IS NULL) AS recovery_codes",
        )
        .await?;
    let row = transaction.query_one(&count, &[&user.0]).await?;
    Ok(Factors {
        authenticators: row.try_get("authenticators")?,
        passkeys: row.try_get("passkeys")?,
        recovery_codes: row.try_get("recovery_codes")?,
    })
}

/// Gives a user new recovery codes. Those of before are worth nothing any more.
pub(crate) async fn keep_recovery_codes(
    transaction: &Transaction<'_>,
    user: UserId,
    codes: &[TokenHash],
) -> Result<(), StoreError> {
    let forget = transaction.prepare_cached("DELETE FROM recovery_code WHERE user_id = $1").await?;
    transaction.execute(&forget, &[&user.0]).await?;
    let keep = transaction
        .prepare_typed_cached(
            "INSERT INTO recovery_code (user_id, code_hash) SELECT $1, hash FROM unnest($2::bytea[]) hash",
            &[Type::INT4, Type::BYTEA_ARRAY],
        )
        .await?;
    let hashes: Vec<&[u8]> = codes.iter().map(|hash| hash.as_bytes().as_slice()).collect();
    transaction.execute(&keep, &[&user.0, &hashes]).await?;
    Ok(())
}

/// Keeps that a factor was used in a session: who sets one up has it.
pub(crate) async fn raise_session(
    transaction: &Transaction<'_>,
    session: Option<&TokenHash>,
    method: &str,
) -> Result<(), StoreError> {
    let Some(session) = session else { return Ok(()) };
    let raise = transaction
        .prepare_typed_cached(
            "UPDATE login_session SET methods = array_cat(array_remove(array_remove(methods, $2), 'mfa'), ARRAY[$2, 'mfa'])
              WHERE token_hash = $1",
            &[Type::BYTEA, Type::TEXT],
        )
        .await?;
    transaction.execute(&raise, &[&session.as_bytes().as_slice(), &method]).await?;
    Ok(())
}

impl Store {
    /// Keeps that a sign-in waits for its second step, with the audit record, in one statement.
    pub async fn start_challenge(&self, context: &Context, new: &NewChallenge<'_>) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH started AS (
                       INSERT INTO login_challenge (token_hash, user_id, expires_at, methods, person, ends_at, authenticated_at)
                       VALUES ($2, $3, $4, $5, $6, $7, $8)
                     )
                     {} FROM app_user u WHERE u.id = $3",
                    recorded()
                ),
                &[
                    Type::JSONB,
                    Type::BYTEA,
                    Type::INT4,
                    Type::TIMESTAMPTZ,
                    Type::TEXT_ARRAY,
                    Type::JSONB,
                    Type::TIMESTAMPTZ,
                    Type::TIMESTAMPTZ,
                ],
            )
            .await?;
        let (methods, origin): (&[&str], _) = match &new.origin {
            None => (&["pwd"], None),
            Some(origin) => (&[], Some(origin)),
        };
        client
            .query_one(
                &statement,
                &[
                    &Json(context),
                    &new.token.as_bytes().as_slice(),
                    &new.user.0,
                    &new.expires_at,
                    &methods,
                    &origin.map(|origin| Json(&origin.person)),
                    &origin.and_then(|origin| origin.ends_at),
                    &origin.map(|origin| origin.authenticated_at),
                ],
            )
            .await?;
        Ok(())
    }

    /// The sign-in that waits under this token, while it may.
    pub async fn challenge(&self, token: &TokenHash) -> Result<Option<FirstStep>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT c.user_id, c.methods FROM login_challenge c JOIN app_user u ON u.id = c.user_id AND u.is_active
                  WHERE c.token_hash = $1 AND c.expires_at > statement_timestamp()",
            )
            .await?;
        let row = client.query_opt(&statement, &[&token.as_bytes().as_slice()]).await?;
        row.map(|row| Ok(FirstStep { user: UserId(row.try_get("user_id")?), methods: row.try_get("methods")? }))
            .transpose()
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

    /// Enrols an authenticator with its recovery codes, with the audit record, in one transaction. In a session it takes the
    /// place of one that is enrolled. False: there is a factor already, so the password alone does not add one.
    pub async fn enrol_authenticator(&self, context: &Context, new: &NewAuthenticator<'_>) -> Result<bool, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let factors = lock_factors(&transaction, new.user).await?;
        if new.session.is_none() && factors.count() > 0 {
            return Ok(false);
        }
        let enrol = transaction
            .prepare_typed_cached(
                &format!(
                    "WITH enrolled AS (
                       INSERT INTO totp_factor AS f (user_id, secret, last_step) VALUES ($2, $3, $4)
                       ON CONFLICT (user_id) DO UPDATE
                          SET secret = EXCLUDED.secret, last_step = EXCLUDED.last_step, confirmed_at = clock_timestamp()
                     )
                     {} FROM app_user u WHERE u.id = $2",
                    recorded()
                ),
                &[Type::JSONB, Type::INT4, Type::BYTEA, Type::INT8],
            )
            .await?;
        transaction.query_one(&enrol, &[&Json(context), &new.user.0, &new.sealed, &new.step.0]).await?;
        keep_recovery_codes(&transaction, new.user, new.recovery).await?;
        raise_session(&transaction, new.session.as_ref(), "otp").await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Gives a user with a factor new recovery codes, with the audit record, in one transaction. False: there is no factor.
    pub async fn renew_recovery_codes(
        &self,
        context: &Context,
        user: UserId,
        codes: &[TokenHash],
    ) -> Result<bool, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        if lock_factors(&transaction, user).await?.count() == 0 {
            return Ok(false);
        }
        keep_recovery_codes(&transaction, user, codes).await?;
        let record = format!("{} FROM app_user u WHERE u.id = $2", recorded());
        let record = transaction.prepare_typed_cached(&record, &[Type::JSONB, Type::INT4]).await?;
        transaction.query_one(&record, &[&Json(context), &user.0]).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Removes a factor of a user, and with the last one the recovery codes, with the audit record, in one transaction.
    pub async fn remove_factor(
        &self,
        context: &Context,
        user: UserId,
        factor: Factor,
        may_be_last: bool,
    ) -> Result<Removal, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let was_last = lock_factors(&transaction, user).await?.count() <= 1;
        let (what, number) = match factor {
            Factor::Authenticator => ("totp_factor WHERE user_id = $2 AND $3 IS NULL", None),
            Factor::Passkey(number) => ("passkey WHERE user_id = $2 AND id = $3", Some(number)),
        };
        let remove = transaction
            .prepare_typed_cached(
                &format!(
                    "WITH removed AS (DELETE FROM {what} RETURNING user_id)
                     {} FROM removed r JOIN app_user u ON u.id = r.user_id",
                    recorded()
                ),
                &[Type::JSONB, Type::INT4, Type::INT4],
            )
            .await?;
        if transaction.execute(&remove, &[&Json(context), &user.0, &number]).await? == 0 {
            return Ok(Removal::Unknown);
        }
        if was_last && !may_be_last {
            return Ok(Removal::Needed);
        }
        if was_last {
            keep_recovery_codes(&transaction, user, &[]).await?;
        }
        transaction.commit().await?;
        Ok(Removal::Removed { was_last })
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
