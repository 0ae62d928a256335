//! Migrations (embedded, forward-only, numbered) and the logins of the functions.

use crate::{
    AppliedMigration, ConfigError, DatabaseConfig, StoreError, error::is_refused_by_right, pool::driver_config, tls,
};
use postgres_protocol::password::scram_sha_256;
use refinery::Migration;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeSet;
use tokio_postgres::Client;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// A migration or a login could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The settings are not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A migration failed; what had been applied before stays.
    #[error("a migration failed")]
    Migration(#[source] Box<refinery::Error>),
    /// The database has a history that is not ours.
    #[error("the database was migrated by another program: {0}")]
    History(String),
    /// A name may hold only small letters, digits and underscores.
    #[error("{0:?} cannot be the name of a login or a database")]
    Name(String),
    /// It is none of [`ROLES`].
    #[error("{0:?} is no role of functions")]
    Role(String),
}

/// A connection outside any pool: for migrations, logins and the demo world.
pub async fn connect_owner(owner: &DatabaseConfig) -> Result<Client, LoginError> {
    let (client, connection) = driver_config(owner).connect(tls::connector(owner)?).await.map_err(StoreError::from)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "the owner's connection ended");
        }
    });
    Ok(client)
}

/// Applies the migrations that are not applied yet, as the owner. Two that start at once take turns. A database that a later
/// version migrated is left as it is: migrations keep what the version before needs, so that it can be gone back to.
pub async fn migrate(owner: &DatabaseConfig) -> Result<usize, LoginError> {
    /// Any number, the same in every process: the key of the lock that lets one migrate at a time.
    const MIGRATION_LOCK: i64 = 0x6a68_655f_6d69_6772;
    let mut client = connect_owner(owner).await?;
    client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await.map_err(StoreError::from)?;
    // What is missing here is judged below: refinery does not tell what is later from what is foreign.
    let runner = embedded::migrations::runner().set_abort_missing(false);
    let failed = |error| LoginError::Migration(Box::new(error));
    let has_history = "SELECT FROM pg_class WHERE oid = to_regclass('refinery_schema_history')";
    if client.query_opt(has_history, &[]).await.map_err(StoreError::from)?.is_some() {
        let applied = runner.get_applied_migrations_async(&mut client).await.map_err(failed)?;
        check_history(&versions(&applied), &versions(runner.get_migrations()))?;
    }
    let report = runner.run_async(&mut client).await.map_err(failed)?;
    index(&client).await?;
    Ok(report.applied_migrations().len())
}

/// Indexes of tables that are written all the time, each with what it is on. They are made while others write, which no
/// transaction can, so no migration has them.
const INDEXES: [(&str, &str); 6] = [
    ("observation_identifier_observation", "observation_identifier (observation_id)"),
    ("auxiliary_due", "auxiliary (patient_id, scope_id, last_updated)"),
    ("auxiliary_version_due", "auxiliary_version (patient_id, scope_id, ended_at) WHERE is_last IS NOT FALSE"),
    ("access_token_grant", "access_token (grant_id)"),
    ("refresh_token_grant", "refresh_token (grant_id)"),
    ("oauth_code_grant", "oauth_code (grant_id)"),
];

/// Makes the [`INDEXES`] that are not there. Nothing depends on them but how quick something is: one that cannot be made, since a
/// transaction lasts that it has to wait for, is made by the next call.
async fn index(client: &Client) -> Result<(), LoginError> {
    const MADE: &str = "SELECT FROM pg_index WHERE indexrelid = to_regclass($1) AND indisvalid";
    for (name, on) in INDEXES {
        if client.query_opt(MADE, &[&name]).await.map_err(StoreError::from)?.is_some() {
            continue;
        }
        // What was interrupted is there, and not valid. Each statement is sent alone: together they would be one transaction.
        let statements = [
            "SET statement_timeout = '5min'".to_owned(),
            format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"),
            format!("CREATE INDEX CONCURRENTLY {name} ON {on}"),
        ];
        for statement in statements {
            if let Err(error) = client.batch_execute(&statement).await.map_err(StoreError::from) {
                tracing::warn!(index = name, %error, "an index is not made yet");
                break;
            }
        }
    }
    Ok(client.batch_execute("RESET statement_timeout").await.map_err(StoreError::from)?)
}

fn versions(migrations: &[Migration]) -> BTreeSet<i32> {
    migrations.iter().map(Migration::version).collect()
}

/// What was applied is what we have, and perhaps what comes after it.
fn check_history(applied: &BTreeSet<i32>, ours: &BTreeSet<i32>) -> Result<(), LoginError> {
    if let Some(foreign) = applied.difference(ours).find(|version| Some(*version) < ours.last()) {
        return Err(LoginError::History(format!("it has V{foreign}, which is not in this version")));
    }
    if let Some(skipped) = ours.difference(applied).find(|version| Some(*version) < applied.last()) {
        return Err(LoginError::History(format!("it has no V{skipped}, and has later ones")));
    }
    Ok(())
}

/// The migrations of this version, as a database remembers them once they are applied, in order.
pub(crate) fn known_migrations() -> Vec<AppliedMigration> {
    let runner = embedded::migrations::runner();
    let applied = runner.get_migrations().iter().map(|migration| AppliedMigration {
        version: migration.version(),
        name: migration.name().to_owned(),
        checksum: migration.checksum().to_string(),
    });
    let mut applied: Vec<AppliedMigration> = applied.collect();
    applied.sort_by_key(|migration| migration.version);
    applied
}

/// Their numbers and their statements, in order.
pub(crate) fn migrations() -> Vec<(i32, String)> {
    let runner = embedded::migrations::runner();
    let texts = runner.get_migrations().iter().map(|one| (one.version(), one.sql().unwrap_or_default().to_owned()));
    let mut texts: Vec<(i32, String)> = texts.collect();
    texts.sort_by_key(|(number, _)| *number);
    texts
}

/// Makes, or gives a new password to, a login that may read every table for backups and nothing else.
pub async fn create_backup_login(
    owner: &DatabaseConfig,
    name: &str,
    password: &SecretString,
) -> Result<(), LoginError> {
    let client = connect_owner(owner).await?;
    give_password(owner, &client, name, password).await?;
    // It acts as the role, in a transaction, and is nothing by itself.
    client
        .batch_execute(&format!(
            "ALTER ROLE {name} NOINHERIT; GRANT jhe_backup TO {name}; ALTER ROLE {name} SET timezone = 'UTC'"
        ))
        .await
        .map_err(StoreError::from)?;
    Ok(())
}

/// What a login can be a member of, by its name: what all functions may do, or what one group of them may.
pub const ROLES: [&str; 6] =
    ["jhe_app", "jhe_fhir_read", "jhe_fhir_write", "jhe_identity", "jhe_people", "jhe_retention"];

/// Makes, or gives a new password to, a login that may do what a role of [`ROLES`] may do and nothing else.
///
/// The timeouts are settings of the login, so that no session has to `SET` them: behind RDS Proxy that would
/// pin the connection.
pub async fn create_login(
    owner: &DatabaseConfig,
    name: &str,
    password: &SecretString,
    role: &str,
) -> Result<(), LoginError> {
    checked_role(role)?;
    let client = connect_owner(owner).await?;
    give_password(owner, &client, name, password).await?;
    client
        .batch_execute(&format!(
            "ALTER ROLE {name} INHERIT;
             GRANT {role} TO {name};
             ALTER ROLE {name} SET statement_timeout = '15s';
             ALTER ROLE {name} SET lock_timeout = '5s';
             ALTER ROLE {name} SET idle_in_transaction_session_timeout = '15s';
             ALTER ROLE {name} SET timezone = 'UTC';"
        ))
        .await
        .map_err(StoreError::from)?;
    Ok(())
}

/// Makes a login, or gives it a new password.
async fn give_password(
    owner: &DatabaseConfig,
    client: &Client,
    name: &str,
    password: &SecretString,
) -> Result<(), LoginError> {
    checked_name(name)?;
    // Servers log such statements. So it has not the password but what the server keeps of it, which opens nothing.
    // Utility statements take no parameters: the name is letters, digits and underscores, as checked above, and what is kept
    // of a password is base64 with `$` and `:`.
    let verifier = scram_sha_256(password.expose_secret().as_bytes());
    let exists = client
        .query_opt("SELECT FROM pg_roles WHERE rolname = $1", &[&name])
        .await
        .map_err(StoreError::from)?
        .is_some();
    let verb = if exists { "ALTER" } else { "CREATE" };
    // A pooler may keep the salted hash: a password that opens already is not salted anew.
    let opens = exists && opens(owner, name, password).await;
    let password = if opens { String::new() } else { format!("PASSWORD '{verifier}'") };
    let statement = format!("{verb} ROLE {name} LOGIN {password}");
    Ok(client.batch_execute(&statement).await.map_err(StoreError::from)?)
}

/// Whether a login may do what a role of [`ROLES`] may.
pub async fn is_login(owner: &DatabaseConfig, name: &str, role: &str) -> Result<bool, LoginError> {
    const ASK: &str =
        "SELECT FROM pg_roles WHERE rolname = $1 AND rolcanlogin AND pg_has_role(rolname, $2::text::name, 'MEMBER')";
    checked_role(role)?;
    let found = connect_owner(owner).await?.query_opt(ASK, &[&name, &role]).await;
    Ok(found.map_err(StoreError::from)?.is_some())
}

/// Whether the server logs who changes what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeLog {
    /// By `pgaudit`.
    On,
    /// It was started without `pgaudit`.
    Absent,
    /// It was started with it, and only a superuser can switch it on: `CREATE EXTENSION pgaudit`.
    NotAllowed,
}

impl ChangeLog {
    /// What to say of it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Absent => "the server was started without it",
            Self::NotAllowed => "only a superuser can switch it on: CREATE EXTENSION pgaudit",
        }
    }
}

/// Has the server log who changes what by `pgaudit`, where it was started with that.
pub async fn log_changes(owner: &DatabaseConfig) -> Result<ChangeLog, LoginError> {
    // An owner who may not see the setting learns it by trying.
    const ASK: &str = "SELECT FROM pg_available_extensions WHERE name = 'pgaudit' AND NOT EXISTS (
        SELECT FROM pg_settings WHERE name = 'shared_preload_libraries' AND setting NOT LIKE '%pgaudit%')";
    let client = connect_owner(owner).await?;
    let available = client.query_opt(ASK, &[]).await.map_err(StoreError::from)?.is_some();
    if !available {
        return Ok(ChangeLog::Absent);
    }
    match client.batch_execute("CREATE EXTENSION IF NOT EXISTS pgaudit").await {
        Ok(()) => Ok(ChangeLog::On),
        Err(error) if is_refused_by_right(&error) => Ok(ChangeLog::NotAllowed),
        Err(error) => Err(StoreError::from(error).into()),
    }
}

/// Whether a login opens the owner's database with this password.
async fn opens(owner: &DatabaseConfig, name: &str, password: &SecretString) -> bool {
    let login = DatabaseConfig { user: name.to_owned(), password: Some(password.clone()), ..owner.clone() };
    connect_owner(&login).await.is_ok()
}

fn checked_role(role: &str) -> Result<(), LoginError> {
    if ROLES.contains(&role) { Ok(()) } else { Err(LoginError::Role(role.to_owned())) }
}

/// Utility statements take no parameters, so a name in one may hold only what needs no quoting.
pub(crate) fn checked_name(name: &str) -> Result<(), LoginError> {
    let simple = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(simple) {
        return Err(LoginError::Name(name.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_version_may_have_migrated_and_no_other_program() {
        let set = |versions: &[i32]| versions.iter().copied().collect::<BTreeSet<_>>();
        let ours = set(&[1, 2, 4]);
        for good in [&[][..], &[1], &[1, 2], &[1, 2, 4], &[1, 2, 4, 5, 7]] {
            assert!(check_history(&set(good), &ours).is_ok(), "{good:?}");
        }
        for wrong in [&[2][..], &[1, 4], &[1, 2, 3], &[1, 2, 3, 4], &[1, 5], &[5]] {
            assert!(matches!(check_history(&set(wrong), &ours), Err(LoginError::History(_))), "{wrong:?}");
        }
    }
}
