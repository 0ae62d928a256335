//! Accounts as their owners use them: sign-in, passwords, and links that come by e-mail.

use crate::{
    Store, StoreError,
    session::{ENDED, recorded},
};
use audit::{Context, RefusedBy};
use authz::{Layer, UserId};
use jiff::Timestamp;
use oauth::TokenHash;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// What a sign-in needs of an account.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user.
    pub id: UserId,
    /// The name to sign in with.
    pub email: String,
    /// The Argon2id hash of the password in PHC format; none when no password was ever set.
    pub password_hash: Option<String>,
    /// True for a super admin.
    pub is_superuser: bool,
    /// The second factors that are set up.
    pub factors: OwnFactors,
    /// True when an organization of the user asks its members for a second factor.
    pub organization_requires_factor: bool,
}

/// Which kinds of second factors an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnFactors {
    /// An authenticator.
    pub authenticator: bool,
    /// A passkey, or several.
    pub passkey: bool,
}

impl Account {
    /// True when a second factor of any kind is set up.
    #[must_use]
    pub const fn has_factor(&self) -> bool {
        self.factors.authenticator || self.factors.passkey
    }
}

/// What a link by e-mail is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkPurpose {
    /// To choose a new password.
    Reset,
    /// To choose the first one.
    SignUp,
}

impl LinkPurpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::SignUp => "sign_up",
        }
    }
}

/// A link to make.
#[derive(Debug)]
pub struct NewLink<'a> {
    /// The address that somebody typed, in small letters.
    pub email: &'a str,
    /// The hash of the link's token.
    pub token: TokenHash,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
}

/// To whom the e-mail goes.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The address of the account.
    pub email: String,
    /// True when there is a password already.
    pub has_password: bool,
}

/// Whether the root asks everybody for a second factor, or an organization of the user `u` its members.
const ORGANIZATION_REQUIRES_FACTOR: &str = "
EXISTS (SELECT FROM organization WHERE id = 0 AND requires_second_factor) OR u.user_type = 'practitioner' AND EXISTS (SELECT FROM practitioner p JOIN organization_member m ON m.practitioner_id = p.id
          JOIN organization o ON o.id = m.organization_id
         WHERE p.user_id = u.id AND o.requires_second_factor)";

/// Whether a sign-in by these methods opens the account `u`: by two factors, or an account that may be without.
/// `super_admins`: whether one is asked of super admins.
pub(crate) fn is_strong_enough(methods: &str, super_admins: &str) -> String {
    format!("('mfa' = ANY ({methods}) OR NOT (u.is_superuser AND {super_admins} OR {ORGANIZATION_REQUIRES_FACTOR}))")
}

fn select_account() -> String {
    format!(
        "SELECT u.id, u.email, u.password_hash, u.is_superuser,
                EXISTS (SELECT FROM totp_factor f WHERE f.user_id = u.id) AS has_authenticator,
                EXISTS (SELECT FROM passkey k WHERE k.user_id = u.id) AS has_passkey,
                ({ORGANIZATION_REQUIRES_FACTOR}) AS organization_requires_factor
           FROM app_user u"
    )
}

/// One row, always. Who has a password can have a new one by e-mail; and a practitioner whose account a super admin made, who was
/// sent a link to the first one, another such link. Who came by single sign-on was sent none.
fn request_reset() -> String {
    format!(
        "WITH account AS (
           SELECT id, email FROM app_user u
            WHERE lower(email) = $2 AND is_active
              AND (password_hash IS NOT NULL
                   OR user_type = 'practitioner'
                      AND EXISTS (SELECT FROM account_link l WHERE l.user_id = u.id AND l.purpose = 'sign_up'))
         ), linked AS (
           INSERT INTO account_link (token_hash, user_id, purpose, expires_at) SELECT $3, id, 'reset', $4 FROM account
         )
         {LINK_RECORDED}"
    )
}

/// One row, always. The invitation says whose account it is; it stays as it is, for the app.
fn request_sign_up() -> String {
    format!(
        "WITH account AS (
           SELECT u.id, u.email, u.password_hash IS NOT NULL AS has_password
             FROM invitation i JOIN patient p ON p.id = i.patient_id JOIN app_user u ON u.id = p.user_id
            WHERE i.token_hash = $5 AND lower(u.email) = $2 AND u.is_active
              AND (i.status = 'issued' AND i.expires_at > clock_timestamp()
                   OR i.status = 'redeemed' AND i.redeemed_at > clock_timestamp() - $6 * interval '1 second')
         ), linked AS (
           INSERT INTO account_link (token_hash, user_id, purpose, expires_at)
           SELECT $3, id, 'sign_up', $4 FROM account WHERE NOT has_password
         )
         {LINK_RECORDED}"
    )
}

/// Nobody is authenticated yet, but the patient concerned can read who asked.
const LINK_RECORDED: &str = "
SELECT a.*, audit_record($1 || jsonb_build_object('subject_user_id', a.id), CASE WHEN a.id IS NULL THEN 'denied' ELSE 'allowed' END,
                         CASE WHEN a.id IS NULL THEN 'not_found' END, '{}', '{}',
                         ARRAY(SELECT id FROM patient WHERE user_id = a.id), '{}')
  FROM (VALUES (1)) one LEFT JOIN account a ON true";

impl Store {
    /// The active account with this e-mail address, in small letters.
    pub async fn account(&self, email: &str) -> Result<Option<Account>, StoreError> {
        let client = self.connection().await?;
        let statement =
            client.prepare_cached(&format!("{} WHERE lower(u.email) = $1 AND u.is_active", select_account())).await?;
        client.query_opt(&statement, &[&email]).await?.as_ref().map(account_of).transpose()
    }

    /// The active account of a user.
    pub async fn account_of(&self, user: UserId) -> Result<Option<Account>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_cached(&format!("{} WHERE u.id = $1 AND u.is_active", select_account())).await?;
        client.query_opt(&statement, &[&user.0]).await?.as_ref().map(account_of).transpose()
    }

    /// Sets the password of a user. All other sessions, the access of all apps and all open links end. With the audit
    /// record, in one statement.
    pub async fn change_password(
        &self,
        context: &Context,
        user: UserId,
        password_hash: &str,
        keep: &TokenHash,
    ) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                &format!(
                    "WITH {ENDED}, changed AS (
                       UPDATE app_user SET password_hash = $4, last_updated = clock_timestamp() WHERE id = $2
                     ), links AS (
                       UPDATE account_link SET used_at = clock_timestamp() WHERE user_id = $2 AND used_at IS NULL
                     )
                     {} FROM app_user u WHERE u.id = $2",
                    recorded()
                ),
                &[Type::JSONB, Type::INT4, Type::BYTEA, Type::TEXT],
            )
            .await?;
        client.query_one(&statement, &[&Json(context), &user.0, &keep.as_bytes().as_slice(), &password_hash]).await?;
        Ok(())
    }

    /// Makes a link to choose a new password, with the audit record, in one statement. None: no account that could have
    /// one.
    pub async fn request_reset(&self, context: &Context, link: &NewLink<'_>) -> Result<Option<Recipient>, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::TEXT, Type::BYTEA, Type::TIMESTAMPTZ];
        let statement = client.prepare_typed_cached(&request_reset(), &types).await?;
        let token = link.token.as_bytes().as_slice();
        let row = client.query_one(&statement, &[&Json(context), &link.email, &token, &link.expires_at]).await?;
        let email: Option<String> = row.try_get("email")?;
        Ok(email.map(|email| Recipient { email, has_password: true }))
    }

    /// Makes a link to choose the first password, for who has an invitation and names the address of the patient's
    /// account, with the audit record, in one statement. Who has a password gets no link. None: no such invitation.
    pub async fn request_sign_up(
        &self,
        context: &Context,
        link: &NewLink<'_>,
        invitation: &TokenHash,
        window_seconds: i32,
    ) -> Result<Option<Recipient>, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::TEXT, Type::BYTEA, Type::TIMESTAMPTZ, Type::BYTEA, Type::INT4];
        let statement = client.prepare_typed_cached(&request_sign_up(), &types).await?;
        let row = client
            .query_one(
                &statement,
                &[
                    &Json(context),
                    &link.email,
                    &link.token.as_bytes().as_slice(),
                    &link.expires_at,
                    &invitation.as_bytes().as_slice(),
                    &window_seconds,
                ],
            )
            .await?;
        let email: Option<String> = row.try_get("email")?;
        email.map(|email| Ok(Recipient { email, has_password: row.try_get("has_password")? })).transpose()
    }

    /// The account that a link is for, while the link can be used.
    pub async fn link(&self, token: &TokenHash, purpose: LinkPurpose) -> Result<Option<Account>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(&format!(
                "{} JOIN account_link l ON l.user_id = u.id
                  WHERE l.token_hash = $1 AND l.purpose = $2 AND l.used_at IS NULL AND l.expires_at > statement_timestamp()
                    AND u.is_active",
                select_account()
            ))
            .await?;
        let row = client.query_opt(&statement, &[&token.as_bytes().as_slice(), &purpose.name()]).await?;
        row.as_ref().map(account_of).transpose()
    }

    /// Uses a link: sets the password, takes the address as verified, and ends all sessions, the access of all apps and
    /// all other links. With the audit record, in one transaction. False: the link cannot be used any more.
    pub async fn use_link(
        &self,
        context: &Context,
        token: &TokenHash,
        purpose: LinkPurpose,
        password_hash: &str,
    ) -> Result<bool, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let take = transaction
            .prepare_cached(
                "UPDATE account_link SET used_at = clock_timestamp()
                  WHERE token_hash = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > clock_timestamp()
                 RETURNING user_id",
            )
            .await?;
        let link = transaction.query_opt(&take, &[&token.as_bytes().as_slice(), &purpose.name()]).await?;
        let Some(link) = link else {
            let reason = RefusedBy::Layer(Layer::Token);
            crate::refusal::record(&transaction, context, &audit::Target::nothing(), reason).await?;
            transaction.commit().await?;
            return Ok(false);
        };
        let user: i32 = link.try_get("user_id")?;
        let statement = transaction
            .prepare_typed_cached(
                &format!(
                    "WITH {ENDED}, changed AS (
                       UPDATE app_user SET password_hash = $4, last_updated = clock_timestamp(),
                                           email_verified_at = coalesce(email_verified_at, clock_timestamp())
                        WHERE id = $2
                     ), links AS (
                       UPDATE account_link SET used_at = clock_timestamp() WHERE user_id = $2 AND used_at IS NULL
                     )
                     {} FROM app_user u WHERE u.id = $2",
                    recorded()
                ),
                &[Type::JSONB, Type::INT4, Type::BYTEA, Type::TEXT],
            )
            .await?;
        let keep: Option<&[u8]> = None;
        transaction.query_one(&statement, &[&Json(context), &user, &keep, &password_hash]).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn account_of(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        id: UserId(row.try_get("id")?),
        email: row.try_get("email")?,
        password_hash: row.try_get("password_hash")?,
        is_superuser: row.try_get("is_superuser")?,
        factors: OwnFactors { authenticator: row.try_get("has_authenticator")?, passkey: row.try_get("has_passkey")? },
        organization_requires_factor: row.try_get("organization_requires_factor")?,
    })
}
