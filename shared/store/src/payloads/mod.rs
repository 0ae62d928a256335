//! Payloads: encrypted before they are stored, and opened after they are read. In the database there is no key.

mod encrypt;

pub use encrypt::{Encrypted, encrypt_payloads};

use crate::{Store, StoreError};
use deadpool_postgres::Transaction;
use futures_util::future::BoxFuture;
use payload::{Held, KeyId, Place};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    error::Error,
    fmt,
    sync::Arc,
};
use tokio_postgres::{Row, types::Type};

/// The keys cannot be had.
pub type KeysError = Box<dyn Error + Send + Sync>;

/// Gives the keys of patients: the vault.
pub trait PayloadKeys: Send + Sync + fmt::Debug {
    /// What there is under each of these ids, in one go.
    fn held<'a>(&'a self, ids: &'a BTreeSet<KeyId>) -> BoxFuture<'a, Result<HashMap<KeyId, Held>, KeysError>>;

    /// The same. A key that is missing is made.
    fn made<'a>(&'a self, ids: &'a BTreeSet<KeyId>) -> BoxFuture<'a, Result<HashMap<KeyId, Held>, KeysError>>;
}

/// A payload as a row has it.
#[derive(Debug)]
pub(crate) enum Raw {
    /// As rows had it before payloads were encrypted.
    Clear(String),
    /// Encrypted, with the place that it opens in.
    Sealed(Place, Vec<u8>),
}

impl Raw {
    /// That of a row with the columns `content` and `payload`.
    pub(crate) fn of(row: &Row, place: Place) -> Result<Self, StoreError> {
        match row.try_get::<_, Option<Vec<u8>>>("payload")? {
            Some(sealed) => Ok(Self::Sealed(place, sealed)),
            None => Ok(Self::Clear(row.try_get("content")?)),
        }
    }
}

/// The id of a patient's key, as `uuid_send` gives it.
pub(crate) fn key_id(row: &Row) -> Result<Option<KeyId>, StoreError> {
    let bytes: Option<&[u8]> = row.try_get("payload_key")?;
    bytes.map(|bytes| KeyId::from_bytes(bytes).ok_or(StoreError::Corrupt("payload_key"))).transpose()
}

/// The vault is not the one that the database was written with, or has lost something.
fn not_in_vault() -> StoreError {
    StoreError::Keys("a key of the database is not in the vault".into())
}

/// The text of a payload that was sealed with one of these keys; none when its key was destroyed.
fn text(held: &HashMap<KeyId, Held>, place: Place, sealed: &[u8]) -> Result<Option<String>, StoreError> {
    let id = payload::key_of(sealed).map_err(|_| StoreError::Corrupt("payload"))?;
    match held.get(&id) {
        Some(Held::Key(key)) => payload::open(key, place, sealed).map(Some).map_err(|_| StoreError::Corrupt("payload")),
        Some(Held::Destroyed) => Ok(None),
        Some(Held::Missing) | None => Err(not_in_vault()),
    }
}

/// A text as it is stored; none when the key was destroyed.
pub(crate) fn sealed(
    held: &HashMap<KeyId, Held>,
    id: KeyId,
    place: Place,
    text: &str,
) -> Result<Option<Vec<u8>>, StoreError> {
    match held.get(&id) {
        Some(Held::Key(key)) => {
            payload::seal(key, id, place, text).map(Some).map_err(|error| StoreError::Keys(error.into()))
        }
        Some(Held::Destroyed) => Ok(None),
        Some(Held::Missing) | None => Err(StoreError::Keys("a key was not made".into())),
    }
}

/// Whether a patient has something that was encrypted.
const HAS_PAYLOADS: &str = "
SELECT EXISTS (SELECT FROM observation WHERE patient_id = $1 AND payload IS NOT NULL)
    OR EXISTS (SELECT FROM auxiliary WHERE patient_id = $1 AND payload IS NOT NULL)";

impl Store {
    /// The same database, with the keys of what is encrypted in it.
    #[must_use]
    pub fn with_payload_keys(mut self, keys: Arc<dyn PayloadKeys>) -> Self {
        self.payload_keys = Some(keys);
        self
    }

    fn keys(&self) -> Result<&dyn PayloadKeys, StoreError> {
        self.payload_keys.as_deref().ok_or_else(|| StoreError::Keys("no vault is set: PAYLOAD_KEYS".into()))
    }

    /// The keys to encrypt with, for patients by the ids of their keys. One that is missing is made, but not where something was
    /// encrypted with it: then the vault is not the right one.
    pub(crate) async fn keys_to_seal(
        &self,
        transaction: &Transaction<'_>,
        patients: &BTreeMap<KeyId, i32>,
    ) -> Result<HashMap<KeyId, Held>, StoreError> {
        let ids: BTreeSet<KeyId> = patients.keys().copied().collect();
        let keys = self.keys()?;
        let held = keys.held(&ids).await.map_err(StoreError::Keys)?;
        let mut is_complete = true;
        for (id, patient) in patients {
            if matches!(held.get(id), Some(Held::Missing) | None) {
                is_complete = false;
                let statement = transaction.prepare_typed_cached(HAS_PAYLOADS, &[Type::INT4]).await?;
                if transaction.query_one(&statement, &[patient]).await?.try_get(0)? {
                    return Err(not_in_vault());
                }
            }
        }
        if is_complete { Ok(held) } else { keys.made(&ids).await.map_err(StoreError::Keys) }
    }

    /// Opens payloads, with all their keys at once. None for those whose key was destroyed: to everybody it is as if they did not
    /// exist. When a key cannot be had, nothing is opened.
    pub(crate) async fn opened(&self, raw: &[Raw]) -> Result<Vec<Option<String>>, StoreError> {
        let mut ids = BTreeSet::new();
        for one in raw {
            if let Raw::Sealed(_, sealed) = one {
                ids.insert(payload::key_of(sealed).map_err(|_| StoreError::Corrupt("payload"))?);
            }
        }
        let held =
            if ids.is_empty() { HashMap::new() } else { self.keys()?.held(&ids).await.map_err(StoreError::Keys)? };
        let opened = raw.iter().map(|one| match one {
            Raw::Clear(text) => Ok(Some(text.clone())),
            Raw::Sealed(place, sealed) => text(&held, *place, sealed),
        });
        opened.collect()
    }

    /// Opens one payload.
    pub(crate) async fn opened_one(&self, raw: Raw) -> Result<Option<String>, StoreError> {
        Ok(self.opened(&[raw]).await?.pop().flatten())
    }
}
