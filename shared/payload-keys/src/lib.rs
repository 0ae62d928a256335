//! The vault: the keys of patients, apart from the database and its backups. A table of `DynamoDB`, or a directory.
//!
//! Each key is kept wrapped with one key of the deployment, which is among its secrets: who has the vault alone has nothing. A
//! key that was destroyed leaves a [`Tombstone`] in its place, so that it is never made again, and so that a database that comes
//! from a backup is told whom it has to forget.

mod cache;
mod directory;
mod table;

use cache::Cache;
use directory::Directory;
use jiff::Timestamp;
use payload::{Held, KeyId, PatientKey, PayloadError, WrappingKey};
use secrets::{Keys, Part, SecretStore, SecretsError};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap},
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use table::Table;

/// The setting that says where the vault is: a directory, or `dynamodb:TABLE`.
pub const PLACE: &str = "PAYLOAD_KEYS";

/// The setting of how long a process uses a key without looking whether it is there still, in seconds.
pub const CACHE_SECONDS: &str = "PAYLOAD_KEY_CACHE_SECONDS";

/// How long that is by default.
const FRESH: Duration = Duration::from_mins(5);

/// The longest that it can be set to: a destroyed key must be gone soon.
const LONGEST: Duration = Duration::from_hours(1);

/// The directory of the vault among a host's secrets.
const DIRECTORY: &str = "payload_keys";

/// A key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The place is no path and no `dynamodb:TABLE`.
    #[error("{PLACE} is neither a directory nor dynamodb:TABLE")]
    Place,
    /// The time is none.
    #[error("{CACHE_SECONDS} is not a number of seconds from 0 to 3600")]
    Time,
    /// AWS cannot be asked.
    #[error(transparent)]
    Aws(#[from] aws::ConfigurationError),
    /// `DynamoDB` refused, or was not there.
    #[error("DynamoDB did not {0}")]
    Table(&'static str, #[source] aws::ServiceError),
    /// `DynamoDB` answered something else.
    #[error("DynamoDB did not {0}: the answer is not understood")]
    Answer(&'static str),
    /// A file.
    #[error("{0}")]
    File(PathBuf, #[source] io::Error),
    /// The key that wraps the others is not among the secrets.
    #[error("the key that wraps the keys of patients cannot be had")]
    Secrets(#[from] SecretsError),
    /// What is in the vault was not wrapped by that key.
    #[error("a key of the vault cannot be unwrapped")]
    Wrapped(#[source] PayloadError),
    /// A thread ended before its work did.
    #[error("a thread ended")]
    Ended,
    /// No random numbers.
    #[error("no random numbers")]
    Random(#[from] oauth::RandomError),
}

/// What is left of a destroyed key. It names nobody: a number, which nothing belongs to any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The patient whose key it was.
    pub patient: i32,
    /// When it was destroyed.
    pub at: Timestamp,
    /// Why: a word.
    pub why: String,
    /// The account that asked for it; none when nobody did.
    pub by: Option<i32>,
}

/// What the vault has under an id.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// A key, wrapped.
    Wrapped(Vec<u8>),
    /// A key was here.
    Destroyed(Tombstone),
}

/// Where the keys are.
#[derive(Debug)]
enum Place {
    Directory(Directory),
    Table(Box<Table>),
}

/// The vault, and what of it this process knows for a while.
pub struct Vault {
    place: Place,
    secrets: Arc<SecretStore>,
    cache: Cache,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Vault").field(&self.place).finish()
    }
}

impl Vault {
    /// The vault that the environment names, or else the directory among the host's own secrets. None where there is neither.
    pub fn open(
        lookup: impl Fn(&str) -> Option<String>,
        secret_directory: Option<&Path>,
        secrets: Arc<SecretStore>,
    ) -> Result<Option<Self>, VaultError> {
        let named = lookup(PLACE).filter(|place| !place.is_empty());
        let place = match (named, secret_directory) {
            (None, None) => return Ok(None),
            (None, Some(directory)) => Place::Directory(Directory::at(directory.join(DIRECTORY))),
            (Some(named), _) => match named.strip_prefix("dynamodb:") {
                Some(name) => Place::Table(Box::new(Table::open(name, &lookup)?)),
                None if named.contains(':') => return Err(VaultError::Place),
                None => Place::Directory(Directory::at(named)),
            },
        };
        let fresh = match lookup(CACHE_SECONDS).filter(|text| !text.is_empty()) {
            None => FRESH,
            Some(text) => {
                text.parse().map(Duration::from_secs).ok().filter(|time| *time <= LONGEST).ok_or(VaultError::Time)?
            }
        };
        Ok(Some(Self { place, secrets, cache: Cache::new(fresh) }))
    }

    /// The keys of these ids, as far as there are any. What this process does not know is asked for at once.
    pub async fn held(&self, ids: &BTreeSet<KeyId>, now: Instant) -> Result<HashMap<KeyId, Held>, VaultError> {
        let mut held = self.cache.known(ids, now);
        let unknown: Vec<KeyId> = ids.iter().copied().filter(|id| !held.contains_key(id)).collect();
        if unknown.is_empty() {
            return Ok(held);
        }
        let mut entries = self.entries(&unknown).await?;
        let secrets = self.secrets.get(Part::Payloads, now).await?;
        let keys = secrets.payload_key()?;
        for id in unknown {
            let found = match entries.remove(&id) {
                None => Held::Missing,
                Some(Entry::Destroyed(_)) => Held::Destroyed,
                Some(Entry::Wrapped(wrapped)) => Held::Key(Arc::new(unwrapped(keys, id, &wrapped)?)),
            };
            self.cache.keep(id, &found, now);
            held.insert(id, found);
        }
        Ok(held)
    }

    /// The same. A key that is missing is made; of two that make it at once, one is kept and both have that.
    pub async fn made(&self, ids: &BTreeSet<KeyId>, now: Instant) -> Result<HashMap<KeyId, Held>, VaultError> {
        let held = self.held(ids, now).await?;
        let missing: Vec<KeyId> =
            held.iter().filter(|(_, held)| matches!(held, Held::Missing)).map(|(id, _)| *id).collect();
        if missing.is_empty() {
            return Ok(held);
        }
        let secrets = self.secrets.get(Part::Payloads, now).await?;
        let wrapping = WrappingKey::new(secrets.payload_key()?.expose()).map_err(VaultError::Wrapped)?;
        for id in missing {
            let (wrapped, _) = wrapping.generate(id).map_err(VaultError::Wrapped)?;
            match &self.place {
                Place::Directory(directory) => directory.add(id, wrapped).await?,
                Place::Table(table) => table.add(id, &wrapped).await?,
            }
        }
        // Whoever was first: what is in the vault counts.
        self.held(ids, now).await
    }

    /// Destroys a key for good, whether it was ever made or not. False: that was done before, and its tombstone stays.
    pub async fn destroy(&self, id: KeyId, tombstone: &Tombstone) -> Result<bool, VaultError> {
        let destroyed = match &self.place {
            Place::Directory(directory) => directory.destroy(id, tombstone.clone()).await?,
            Place::Table(table) => table.destroy(id, tombstone).await?,
        };
        self.cache.forget(id);
        Ok(destroyed)
    }

    /// The tombstones.
    pub async fn tombstones(&self) -> Result<Vec<(KeyId, Tombstone)>, VaultError> {
        match &self.place {
            Place::Directory(directory) => directory.tombstones().await,
            Place::Table(table) => table.tombstones().await,
        }
    }

    async fn entries(&self, ids: &[KeyId]) -> Result<HashMap<KeyId, Entry>, VaultError> {
        match &self.place {
            Place::Directory(directory) => directory.entries(ids.to_vec()).await,
            Place::Table(table) => table.entries(ids).await,
        }
    }
}

/// A key, by the key that wraps now or one that did before.
fn unwrapped(keys: &Keys, id: KeyId, wrapped: &[u8]) -> Result<PatientKey, VaultError> {
    let mut last = PayloadError::Key;
    for bytes in std::iter::once(keys.expose()).chain(keys.others()) {
        match WrappingKey::new(bytes).and_then(|wrapping| wrapping.unwrap_key(id, wrapped)) {
            Ok(key) => return Ok(key),
            Err(error) => last = error,
        }
    }
    Err(VaultError::Wrapped(last))
}

#[cfg(test)]
mod tests;
