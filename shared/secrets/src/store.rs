//! The secrets of a process, from whichever source the environment chooses.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::cache::Cache;
use crate::environment::{database_password, gives_keys, payload_key, saml_key, smtp_password};
use crate::{Part, Secrets, SecretsError, secrets_manager};
use aws_sdk_secretsmanager::Client;

/// The secrets of a process.
pub struct SecretStore(Source);

enum Source {
    /// Read once; they change only with a restart.
    Fixed(Arc<Secrets>),
    /// Read when needed, and again from time to time.
    SecretsManager { client: Client, places: Vec<Place> },
}

/// Where a part is, and what was read there.
struct Place {
    part: Part,
    id: String,
    cache: Cache<Secrets>,
}

impl Place {
    fn new(part: Part, id: String) -> Self {
        Self { part, id, cache: Cache::new() }
    }
}

/// The place of a part: its own, or that of the application.
fn place(places: &[Place], part: Part) -> Result<&Place, SecretsError> {
    let of = |wanted: Part| places.iter().find(|place| place.part == wanted);
    of(part).or_else(|| of(Part::Application)).ok_or(SecretsError::NotNamed(part.variable()))
}

impl SecretStore {
    /// Chooses the source by the environment.
    ///
    /// With a variable of a [`Part`] nothing is read until the first [`SecretStore::get`]. With one of the keys set, all must
    /// be. With neither, `directory` is used, and if there is none the missing variable is named.
    pub fn open(lookup: impl Fn(&str) -> Option<String>, directory: Option<&Path>) -> Result<Self, SecretsError> {
        let named = |part: Part| Some(Place::new(part, lookup(part.variable()).filter(|id| !id.is_empty())?));
        let places: Vec<Place> = Part::ALL.into_iter().filter_map(named).collect();
        if !places.is_empty() {
            return Ok(Self(Source::SecretsManager { client: secrets_manager::client(lookup)?, places }));
        }
        let secrets = match directory {
            Some(path) if !gives_keys(&lookup) => {
                let own = Secrets::from_directory(path, database_password(&lookup)?)?;
                let saml_key = saml_key(&lookup)?.or_else(|| own.saml_key.clone());
                // That of another host, whose vault this one uses.
                let payload_key = payload_key(&lookup)?.map(Into::into).or(own.payload_key);
                Secrets { smtp_password: smtp_password(&lookup)?, saml_key, payload_key, ..own }
            }
            _ => Secrets::from_environment(&lookup)?,
        };
        Ok(Self(Source::Fixed(Arc::new(secrets))))
    }

    /// A store for one secret in Secrets Manager, read through this client.
    #[must_use]
    pub fn with_client(client: Client, id: &str) -> Self {
        Self(Source::SecretsManager { client, places: vec![Place::new(Part::Application, id.to_owned())] })
    }

    /// The secrets of a part as of now. Ask before each use and do not keep the answer: a secret from Secrets Manager is read
    /// again after five minutes, used for an hour at most when that fails, and then refused.
    pub async fn get(&self, part: Part, now: Instant) -> Result<Arc<Secrets>, SecretsError> {
        match &self.0 {
            Source::Fixed(secrets) => Ok(Arc::clone(secrets)),
            Source::SecretsManager { client, places } => {
                let Place { id, cache, part } = place(places, part)?;
                cache.get(now, async || Secrets::from_secrets_manager(client, id).await?.whole(*part)).await
            }
        }
    }

    /// What a part opens was refused: it may have been replaced. It is read again before the next use.
    pub async fn doubt(&self, part: Part, now: Instant) {
        if let Source::SecretsManager { places, .. } = &self.0
            && let Ok(place) = place(places, part)
        {
            place.cache.doubt(now).await;
        }
    }
}

#[cfg(test)]
mod tests;
