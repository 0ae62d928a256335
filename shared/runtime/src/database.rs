//! Who the process is to the database: by a secret that is rotated, or by tokens that lapse.

use crate::app::SetupError;
use aws::{DatabaseTokens, Missing};
use futures_util::future::{BoxFuture, FutureExt};
use secrecy::SecretString;
use secrets::{Part, SecretStore};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use store::{ConfigError, DatabaseConfig, Login, Logins, SslMode, Store};

/// A token is used so long that one just handed out is good for minutes.
const TOKEN_USED: Duration = Duration::from_mins(10);

/// How the owner connects to the database that the environment names: as `DB_OWNER_USER`, with `DB_OWNER_PASSWORD` or, where
/// `DB_AUTH` is `iam`, with a token made now.
pub fn owner(lookup: impl Fn(&str) -> Option<String>) -> Result<DatabaseConfig, SetupError> {
    // Their way there may be another: past a pooler, or by a certificate of their own.
    let lookup = |name: &str| match name {
        "DB_USER" => lookup("DB_OWNER_USER"),
        "DB_HOST" => lookup("DB_OWNER_HOST").or_else(|| lookup(name)),
        "DB_PORT" => lookup("DB_OWNER_PORT").or_else(|| lookup(name)),
        "DB_SSL_CERT" => lookup("DB_OWNER_SSL_CERT").or_else(|| lookup(name)),
        "DB_SSL_KEY" => lookup("DB_OWNER_SSL_KEY").or_else(|| lookup(name)),
        other => lookup(other),
    };
    alone(lookup, secrets::secret(&lookup, "DB_OWNER_PASSWORD")?)
}

/// How who makes backups connects: as `DB_BACKUP_USER`, by the owner's way, or else as the owner.
pub fn backup_login(lookup: impl Fn(&str) -> Option<String>) -> Result<DatabaseConfig, SetupError> {
    let Some(user) = lookup("DB_BACKUP_USER").filter(|user| !user.is_empty()) else { return owner(lookup) };
    by_owners_way(lookup, &user, "DB_BACKUP_PASSWORD")
}

/// How who deletes by the policies connects: as `DB_RETENTION_USER`, by the owner's way, or as the owner where there is no such login.
/// None: neither is named, as on AWS, where the login of the functions is one that may.
pub fn retention_login(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<DatabaseConfig>, SetupError> {
    let named = |name: &str| lookup(name).filter(|user| !user.is_empty());
    let Some(user) = named("DB_RETENTION_USER") else {
        return if named("DB_OWNER_USER").is_some() { owner(&lookup).map(Some) } else { Ok(None) };
    };
    by_owners_way(lookup, &user, "DB_RETENTION_PASSWORD").map(Some)
}

/// How a login with a password of its own connects, to where the owner does.
fn by_owners_way(
    lookup: impl Fn(&str) -> Option<String>,
    user: &str,
    password: &'static str,
) -> Result<DatabaseConfig, SetupError> {
    let lookup = |name: &str| match name {
        "DB_USER" => Some(user.to_owned()),
        "DB_HOST" => lookup("DB_OWNER_HOST").or_else(|| lookup(name)),
        "DB_PORT" => lookup("DB_OWNER_PORT").or_else(|| lookup(name)),
        other => lookup(other),
    };
    let password = secrets::secret(&lookup, password)?;
    alone(lookup, password)
}

/// What no policy of retention undercuts: `RETENTION_MINIMUM_DAYS` (365), and `RETENTION_NOTICE_DAYS` (30).
pub fn retention_floor(lookup: impl Fn(&str) -> Option<String>) -> Result<(i32, i32), SetupError> {
    let days = |name: &'static str, default: i32, most: i32| match lookup(name).filter(|text| !text.is_empty()) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .filter(|days| (1..=most).contains(days))
            .ok_or(ConfigError::Invalid(name, "it is not such a number of days")),
    };
    Ok((days("RETENTION_MINIMUM_DAYS", 365, 36_500)?, days("RETENTION_NOTICE_DAYS", 30, 365)?))
}

/// One connection, by a password or a token made now.
fn alone(
    lookup: impl Fn(&str) -> Option<String> + Copy,
    password: Option<SecretString>,
) -> Result<DatabaseConfig, SetupError> {
    let config = match auth(lookup)? {
        Auth::Password => DatabaseConfig::from_env(lookup, password, 1)?,
        Auth::Iam => {
            let (config, tokens) = with_tokens(lookup, 1)?;
            let password = tokens
                .token(SystemTime::now())
                .map_err(|_| ConfigError::Invalid("AWS_*", "nothing can be signed with it"))?;
            DatabaseConfig { password: Some(password), ..config }
        }
    };
    Ok(config)
}

/// What proves who connects.
enum Auth {
    Password,
    Iam,
}

fn auth(lookup: impl Fn(&str) -> Option<String>) -> Result<Auth, ConfigError> {
    match lookup("DB_AUTH").as_deref() {
        None | Some("" | "password") => Ok(Auth::Password),
        Some("iam") => Ok(Auth::Iam),
        Some(_) => Err(ConfigError::Invalid("DB_AUTH", "use password or iam")),
    }
}

fn with_tokens(
    lookup: impl Fn(&str) -> Option<String>,
    pool_size: usize,
) -> Result<(DatabaseConfig, DatabaseTokens), ConfigError> {
    let config = DatabaseConfig::from_env(&lookup, None, pool_size)?;
    // Whoever gets a token may use it for minutes: it is given to nobody whose certificate was not checked.
    if !matches!(config.ssl_mode, SslMode::VerifyCa | SslMode::VerifyFull) {
        return Err(ConfigError::Invalid("DB_SSL_MODE", "DB_AUTH=iam needs verify-ca or verify-full"));
    }
    let tokens = DatabaseTokens::new(lookup, &config.host, config.port, &config.user)
        .map_err(|Missing(name)| ConfigError::Missing(name))?;
    Ok((config, tokens))
}

/// The database that the environment names. `DB_AUTH` is `password`, with what the secrets say, or `iam`.
pub async fn store(
    lookup: &(dyn Fn(&str) -> Option<String> + Send + Sync),
    secrets: &Arc<SecretStore>,
    pool_size: usize,
) -> Result<Store, SetupError> {
    let (config, logins): (DatabaseConfig, Arc<dyn Logins>) = match auth(lookup)? {
        Auth::Password => {
            let now = secrets.get(Part::Database, Instant::now()).await?;
            let user = now.database_username.clone();
            let lookup = |name: &str| user.clone().filter(|_| name == "DB_USER").or_else(|| lookup(name));
            let config = DatabaseConfig::from_env(lookup, now.database_password.clone(), pool_size)?;
            let logins = FromSecrets { secrets: Arc::clone(secrets), user: config.user.clone() };
            (config, Arc::new(logins))
        }
        Auth::Iam => {
            let (config, tokens) = with_tokens(lookup, pool_size)?;
            let logins = FromIam { tokens, user: config.user.clone(), kept: Mutex::default() };
            (config, Arc::new(logins))
        }
    };
    Ok(Store::with_logins(&config, logins)?)
}

/// The user and the password of the secrets.
struct FromSecrets {
    secrets: Arc<SecretStore>,
    /// The user, where the secret names none.
    user: String,
}

impl Logins for FromSecrets {
    fn current(&self) -> BoxFuture<'_, Option<Login>> {
        async {
            let secrets = self.secrets.get(Part::Database, Instant::now()).await.ok()?;
            let user = secrets.database_username.clone().unwrap_or_else(|| self.user.clone());
            Some(Login { user, password: secrets.database_password.clone() })
        }
        .boxed()
    }

    fn refused(&self) -> BoxFuture<'_, ()> {
        self.secrets.doubt(Part::Database, Instant::now()).boxed()
    }
}

/// A token of IAM for one user.
struct FromIam {
    tokens: DatabaseTokens,
    user: String,
    kept: Mutex<Option<(Instant, SecretString)>>,
}

impl FromIam {
    fn token(&self) -> Option<SecretString> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made_at, token)) = kept.as_ref()
            && made_at.elapsed() < TOKEN_USED
        {
            return Some(token.clone());
        }
        let token = self.tokens.token(SystemTime::now()).ok()?;
        *kept = Some((Instant::now(), token.clone()));
        Some(token)
    }
}

impl Logins for FromIam {
    fn current(&self) -> BoxFuture<'_, Option<Login>> {
        let login = self.token().map(|token| Login { user: self.user.clone(), password: Some(token) });
        std::future::ready(login).boxed()
    }

    fn refused(&self) -> BoxFuture<'_, ()> {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
        std::future::ready(()).boxed()
    }
}
