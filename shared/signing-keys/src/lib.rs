//! The keys that sign `id_token`s, as processes have them: published, used, and rotated.
//!
//! They are a document of their own ([`oauth::ring`]): a secret in Secrets Manager named by `SIGNING_KEYS_SECRET_ID`, or a
//! private file, by default `signing_keys.json` among the secrets of a standalone host. A private key is in the document
//! itself, or in AWS KMS. Only what signs or rotates links KMS: see [`Keys::sign`] and [`rotation`].

mod error;
mod kms;
pub mod rotation;
mod settings;

pub use error::KeysError;

use kms::Kms;
use oauth::{
    Secret,
    id_token::IdTokenHint,
    ring::{PrivateHalf, Ring, RingKey},
    signing::{Jwks, SigningKey, UnsignedToken},
};
use runtime::App;
use secrets::{Cache, Document};
use serde::Serialize;
use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

/// Where the keys are, and what was read of them.
struct Source {
    document: Document,
    cache: Cache<Keys>,
}

impl Source {
    fn of(app: &App) -> Result<Arc<Self>, KeysError> {
        app.part(|| Ok(Self { document: document(app)?, cache: Cache::new() }))
    }
}

/// The document, wherever it is.
fn document(app: &App) -> Result<Document, KeysError> {
    let set = |name: &str| app.variable(name).filter(|value| !value.is_empty());
    if let Some(id) = set("SIGNING_KEYS_SECRET_ID") {
        return Ok(Document::named(app.variables(), &id)?);
    }
    let file = set("SIGNING_KEYS_FILE").map(Into::into);
    let file = file.or_else(|| app.secret_directory().map(|directory| directory.join("signing_keys.json")));
    file.map(Document::in_file).ok_or(KeysError::Setting("SIGNING_KEYS_SECRET_ID", "it is not set"))
}

/// The keys as of now, read again from time to time. Ask before each use and do not keep the answer.
pub async fn keys(app: &App) -> Result<Arc<Keys>, KeysError> {
    let source = Source::of(app)?;
    let read = async || {
        let stored = source.document.read().await?.ok_or(KeysError::None)?;
        Ok(Keys { ring: Ring::parse(&stored.text)?, parsed: OnceLock::new() })
    };
    source.cache.get(Instant::now(), read).await
}

/// The keys, as one reading found them.
pub struct Keys {
    ring: Ring<RingKey>,
    /// The current private key, if it is here and was used.
    parsed: OnceLock<SigningKey>,
}

impl Keys {
    /// The document at `jwks_uri`.
    #[must_use]
    pub fn jwks(&self) -> Jwks<'_> {
        self.ring.jwks()
    }

    /// What an `id_token` says that one of the published keys signed for this issuer: see
    /// [`oauth::signing::PublicKey::verify_hint`].
    #[must_use]
    pub fn verify_hint(&self, jwt: &str, issuer: &str) -> Option<IdTokenHint> {
        self.ring.published().find_map(|key| key.public.verify_hint(jwt, issuer))
    }

    /// Signs claims with the current key, here or in KMS. What the published key does not verify is not given out.
    pub async fn sign(&self, app: &App, claims: &(impl Serialize + Sync)) -> Result<Secret, KeysError> {
        let key = &self.ring.current;
        let token = UnsignedToken::new(&key.public, claims)?;
        let signature = match &key.private {
            PrivateHalf::Pem(pem) => {
                if let Some(parsed) = self.parsed.get() {
                    parsed.sign(&token)?
                } else {
                    let parsed = SigningKey::from_pem(pem)?;
                    self.parsed.get_or_init(|| parsed).sign(&token)?
                }
            }
            PrivateHalf::Kms(arn) => Kms::of(app)?.sign(arn, &token).await?,
        };
        Ok(token.signed(&key.public, &signature)?)
    }
}
