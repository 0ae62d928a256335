//! The keys of patients for the store, from the vault; and payloads in the clear, encrypted.

use crate::{App, Failure, SetupError};
use futures_util::future::{BoxFuture, FutureExt};
use payload::{Held, KeyId};
use payload_keys::Vault;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};
use store::{ConfigError, DatabaseConfig, Encrypted, KeysError, PayloadKeys};

/// The keys of the vault.
#[derive(Debug)]
pub(crate) struct KeysOfVault(pub(crate) Arc<Vault>);

impl PayloadKeys for KeysOfVault {
    fn held<'a>(&'a self, ids: &'a BTreeSet<KeyId>) -> BoxFuture<'a, Result<HashMap<KeyId, Held>, KeysError>> {
        // What a request to the vault takes is not part of every future around it.
        async { self.0.held(ids, Instant::now()).await.map_err(Into::into) }.boxed()
    }

    fn made<'a>(&'a self, ids: &'a BTreeSet<KeyId>) -> BoxFuture<'a, Result<HashMap<KeyId, Held>, KeysError>> {
        async { self.0.made(ids, Instant::now()).await.map_err(Into::into) }.boxed()
    }
}

impl App {
    /// Encrypts the payloads that are in the database in the clear, as its owner, for so long at most. None, when that became possible
    /// less than `since` ago.
    pub async fn encrypt_payloads(
        &self,
        owner: &DatabaseConfig,
        since: Duration,
        patience: Duration,
    ) -> Result<Option<Encrypted>, Failure> {
        let vault = self.vault().ok_or(SetupError::Config(ConfigError::Missing(payload_keys::PLACE)))?;
        let keys = KeysOfVault(Arc::clone(vault));
        Ok(store::encrypt_payloads(owner, &keys, since, Instant::now() + patience).await?)
    }
}
