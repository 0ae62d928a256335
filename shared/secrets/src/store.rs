//! The secrets of a process, from whichever source the environment chooses.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::cache::Cache;
use crate::environment::{database_password, gives_keys, saml_key, smtp_password};
use crate::{Secrets, SecretsError, secrets_manager};
use aws_sdk_secretsmanager::Client;

/// The secrets of a process.
pub struct SecretStore(Source);

enum Source {
    /// Read once; they change only with a restart.
    Fixed(Arc<Secrets>),
    /// Read when needed, and again from time to time.
    SecretsManager { id: String, client: Client, cache: Cache<Secrets> },
}

impl SecretStore {
    /// Chooses the source by the environment.
    ///
    /// With `SECRET_ARN` nothing is read until the first [`SecretStore::get`]. With one of the keys set, all must
    /// be. With neither, `directory` is used, and if there is none the missing variable is named.
    pub fn open(lookup: impl Fn(&str) -> Option<String>, directory: Option<&Path>) -> Result<Self, SecretsError> {
        if let Some(id) = lookup("SECRET_ARN").filter(|id| !id.is_empty()) {
            return Ok(Self(Source::SecretsManager {
                id,
                client: secrets_manager::client(lookup)?,
                cache: Cache::new(),
            }));
        }
        let secrets = match directory {
            Some(path) if !gives_keys(&lookup) => {
                let own = Secrets::from_directory(path, database_password(&lookup)?)?;
                let saml_key = saml_key(&lookup)?.or_else(|| own.saml_key.clone());
                Secrets { smtp_password: smtp_password(&lookup)?, saml_key, ..own }
            }
            _ => Secrets::from_environment(&lookup)?,
        };
        Ok(Self(Source::Fixed(Arc::new(secrets))))
    }

    /// A store for one secret in Secrets Manager, read through this client.
    #[must_use]
    pub fn with_client(client: Client, id: &str) -> Self {
        Self(Source::SecretsManager { id: id.to_owned(), client, cache: Cache::new() })
    }

    /// The secrets as of now. Ask before each use and do not keep the answer: a secret from Secrets Manager is read
    /// again after five minutes, used for an hour at most when that fails, and then refused.
    pub async fn get(&self, now: Instant) -> Result<Arc<Secrets>, SecretsError> {
        match &self.0 {
            Source::Fixed(secrets) => Ok(Arc::clone(secrets)),
            Source::SecretsManager { id, client, cache } => {
                cache.get(now, async || Secrets::from_secrets_manager(client, id).await).await
            }
        }
    }

    /// What a secret opens was refused: it may have been replaced. It is read again before the next use.
    pub async fn doubt(&self, now: Instant) {
        if let Source::SecretsManager { cache, .. } = &self.0 {
            cache.doubt(now).await;
        }
    }
}

#[cfg(test)]
mod tests;
