//! What a process holds between requests: settings, secrets, the store and the keys. Made once, outside the handlers.

use crate::{KeySets, Settings, database, metrics::Metrics, payloads::KeysOfVault, rate::Rates, read_later};
use fhir::cursor::CursorKey;
use futures_util::future::{BoxFuture, FutureExt as _};
use jiff::Timestamp;
use oauth::{csrf::FormKey, factor::FactorKey, redirect};
use payload_keys::{Vault, VaultError};
use secrets::{Part, SecretStore, Secrets, SecretsError};
use std::{
    any::Any,
    borrow::Cow,
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use store::{ConfigError, DatabaseConfig, Store, StoreError};
use tokio::sync::OnceCell;

/// Something that a process needs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A setting is missing or not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The secrets cannot be had.
    #[error("the secrets cannot be read")]
    Secrets(#[from] SecretsError),
    /// The vault with the keys of patients is not usable.
    #[error("the vault is not usable")]
    Vault(#[from] VaultError),
}

type Lookup = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The state of a process.
pub struct App {
    /// The settings.
    pub settings: Settings,
    lookup: Lookup,
    pool_size: usize,
    secrets: Arc<SecretStore>,
    store: OnceCell<Store>,
    vault: Option<Arc<Vault>>,
    secret_directory: Option<PathBuf>,
    parts: Mutex<http::Extensions>,
    key_sets: KeySets,
    origins: Mutex<HashMap<String, (bool, Instant)>>,
    rates: Rates,
    metrics: Metrics,
}

/// How long the answer to "is this the origin of a client" is good: as long as a new client may have to wait.
const ORIGIN_KNOWN: Duration = Duration::from_mins(1);

/// How many such answers are kept. Origins are what callers send, so there is no end of them.
const ORIGINS_KNOWN: usize = 256;

impl App {
    /// The state from an environment. Reads nothing from the network yet. `secret_directory` is where a host keeps
    /// its own secrets when the environment gives none; `pool_size` is the host's default.
    pub fn new(
        lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        secret_directory: Option<&Path>,
        pool_size: usize,
    ) -> Result<Self, SetupError> {
        let settings = Settings::from_env(&lookup)?;
        if secret_directory.is_some() {
            read_later::check(&lookup)?;
        }
        let metrics = Metrics::of(settings.metrics_stage.clone());
        if settings.static_challenge.is_some() {
            tracing::warn!(
                "PATIENT_AUTHORIZATION_CODE_* is set: invitations of clients with static_pkce are protected by their token \
                 alone"
            );
        }
        let secrets = Arc::new(SecretStore::open(&lookup, secret_directory)?);
        let vault = Vault::open(&lookup, secret_directory, Arc::clone(&secrets))?.map(Arc::new);
        Ok(Self {
            settings,
            secrets,
            vault,
            lookup: Box::new(lookup),
            pool_size,
            store: OnceCell::new(),
            secret_directory: secret_directory.map(Path::to_owned),
            parts: Mutex::default(),
            key_sets: KeySets::default(),
            origins: Mutex::default(),
            rates: Rates::default(),
            metrics,
        })
    }

    /// A variable of the environment, for what only some functions are set by.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
    }

    /// Looks up variables of the environment.
    pub fn variables(&self) -> impl Fn(&str) -> Option<String> {
        |name| self.variable(name)
    }

    /// Where the host keeps its own secrets, if it does.
    #[must_use]
    pub fn secret_directory(&self) -> Option<&Path> {
        self.secret_directory.as_deref()
    }

    /// Whether people can sign in with the account of their organization: some metadata of an identity provider is named.
    #[must_use]
    pub fn has_single_sign_on(&self) -> bool {
        ["SAML_METADATA_URL", "SAML_METADATA_FILE"]
            .iter()
            .any(|name| self.variable(name).is_some_and(|value| !value.is_empty()))
    }

    /// What only some functions need and is made once, at its first use. It is kept by its type, so that the crates that
    /// it takes are linked only into the functions that use it.
    pub fn part<T: Any + Send + Sync, E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        // A panic elsewhere leaves the map whole.
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = parts.get::<Arc<T>>() {
            return Ok(Arc::clone(part));
        }
        let part = Arc::new(make()?);
        parts.insert(Arc::clone(&part));
        Ok(part)
    }

    /// The time of a request.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// The secrets of a part, read again from time to time.
    pub async fn secrets(&self, part: Part) -> Result<Arc<Secrets>, SetupError> {
        Ok(self.secrets.get(part, Instant::now()).await?)
    }

    /// The database. The pool is made at the first use.
    pub async fn store(&self) -> Result<&Store, SetupError> {
        self.store.get_or_try_init(|| self.connected()).await
    }

    /// What connecting takes is not part of every future around it.
    fn connected(&self) -> BoxFuture<'_, Result<Store, SetupError>> {
        async {
            let store = database::store(&self.lookup, &self.secrets, self.pool_size).await?;
            Ok(match &self.vault {
                Some(vault) => store.with_payload_keys(Arc::new(KeysOfVault(Arc::clone(vault)))),
                None => store,
            })
        }
        .boxed()
    }

    /// The database as its owner sees it, for what the functions may not do: see [`crate::owner`].
    pub fn owner(&self) -> Result<DatabaseConfig, SetupError> {
        database::owner(&self.lookup)
    }

    /// The same, where this process is let in as the owner. A host that serves need not be: then somebody else calls what needs it.
    pub fn known_owner(&self) -> Result<Option<DatabaseConfig>, SetupError> {
        if self.variable("DB_OWNER_USER").is_none() {
            return Ok(None);
        }
        Ok(Some(self.owner()?).filter(|owner| owner.password.is_some() || owner.ssl_cert.is_some()))
    }

    /// The database as backups see it: as `DB_BACKUP_USER`, or as the owner where there is no such login.
    pub fn backup_login(&self) -> Result<DatabaseConfig, SetupError> {
        database::backup_login(&self.lookup)
    }

    /// The vault with the keys of patients, where this process has one.
    #[must_use]
    pub const fn vault(&self) -> Option<&Arc<Vault>> {
        self.vault.as_ref()
    }

    /// The database as who deletes by the policies sees it: as `DB_RETENTION_USER`, or as the owner, or as the functions where neither is
    /// named.
    pub async fn retention_store(&self) -> Result<Cow<'_, Store>, SetupError> {
        match database::retention_login(&self.lookup)? {
            Some(config) => Ok(Cow::Owned(Store::new(&config)?)),
            None => Ok(Cow::Borrowed(self.store().await?)),
        }
    }

    /// What no policy of retention undercuts: the least days, and the days of a notice.
    pub fn retention_floor(&self) -> Result<(i32, i32), SetupError> {
        database::retention_floor(&self.lookup)
    }

    /// Another database of the same server, as the functions see it; what is encrypted there stays so.
    pub async fn store_over(&self, other: &DatabaseConfig) -> Result<Store, SetupError> {
        let (name, host, port) = (other.name.clone(), other.host.clone(), other.port.to_string());
        let lookup = |variable: &str| match variable {
            "DB_NAME" => Some(name.clone()),
            "DB_HOST" => Some(host.clone()),
            "DB_PORT" => Some(port.clone()),
            other => self.variable(other),
        };
        database::store(&lookup, &self.secrets, 2).await
    }

    /// Reads the secrets and connects to the database, so that the first request does not wait for it.
    pub async fn warm_up(&self) -> Result<Result<(), StoreError>, SetupError> {
        Ok(self.store().await?.ready().await)
    }

    /// Whether pages of an origin may read what is asked with a token: it is allowed by setting, or a client is registered
    /// with a redirect URI there. When the database cannot say, it is not.
    pub(crate) async fn is_client_origin(&self, origin: &str) -> bool {
        if self.settings.cors_origins.iter().any(|known| known == origin) {
            return true;
        }
        if !redirect::is_origin(origin) || origin.len() > 255 {
            return false;
        }
        let known = self.origins.lock().unwrap_or_else(PoisonError::into_inner).get(origin).copied();
        if let Some((is_client, asked)) = known
            && asked.elapsed() < ORIGIN_KNOWN
        {
            return is_client;
        }
        let Ok(store) = self.store().await else { return false };
        let Ok(is_client) = store.is_client_origin(origin).await else { return false };
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if origins.len() >= ORIGINS_KNOWN {
            origins.clear();
        }
        origins.insert(origin.to_owned(), (is_client, Instant::now()));
        is_client
    }

    /// The key that signs page links.
    pub async fn cursor_key(&self) -> Result<CursorKey, SetupError> {
        let secrets = self.secrets(Part::Application).await?;
        let keys = secrets.link_key()?;
        Ok(CursorKey::new(keys.expose()).accepting(keys.others()))
    }

    /// The key that signs forms.
    pub async fn form_key(&self) -> Result<FormKey, SetupError> {
        let secrets = self.secrets(Part::Application).await?;
        let keys = secrets.form_key()?;
        Ok(FormKey::new(keys.expose()).accepting(keys.others()))
    }

    /// The key that encrypts the secrets of authenticators.
    pub async fn factor_key(&self) -> Result<FactorKey, SetupError> {
        let secrets = self.secrets(Part::Factors).await?;
        let keys = secrets.factor_key()?;
        Ok(FactorKey::new(keys.expose()).opening(keys.others()))
    }

    /// What callers may still send.
    pub(crate) const fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Where the figures of what is served go.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The key sets of other parties.
    #[must_use]
    pub const fn key_sets(&self) -> &KeySets {
        &self.key_sets
    }
}
