//! Where seals are kept outside of the database: things are added there, and never changed.

mod bucket;
mod directory;

pub(crate) use directory::Directory;

use crate::{SealsError, signer::setting};
use bucket::Bucket;
use jiff::Timestamp;
use runtime::App;

/// The place.
pub(crate) enum Vault {
    /// A bucket in S3 with Object Lock.
    Bucket(Bucket),
    /// A directory.
    Directory(Directory),
}

impl Vault {
    /// The place that the settings name.
    pub(crate) fn of(app: &App) -> Result<Self, SealsError> {
        if let Some(bucket) = setting(app, "AUDIT_SEAL_BUCKET") {
            return Bucket::named(app, bucket).map(Self::Bucket);
        }
        let directory = setting(app, "AUDIT_SEAL_DIRECTORY");
        let directory = directory.ok_or(SealsError::Setting("AUDIT_SEAL_BUCKET", "it is not set"))?;
        Ok(Self::Directory(Directory::at(directory.into())))
    }

    /// Adds something under a name. False: there is something already, and it stays.
    pub(crate) async fn add(&self, name: &str, bytes: Vec<u8>, now: Timestamp) -> Result<bool, SealsError> {
        match self {
            Self::Bucket(bucket) => bucket.add(name, bytes, now).await,
            Self::Directory(directory) => directory.add(name, &bytes),
        }
    }

    /// What is under a name.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, SealsError> {
        match self {
            Self::Bucket(bucket) => bucket.get(name).await,
            Self::Directory(directory) => directory.get(name),
        }
    }

    /// The names that begin so and come after another one.
    pub(crate) async fn names(&self, prefix: &str, after: &str) -> Result<Vec<String>, SealsError> {
        match self {
            Self::Bucket(bucket) => bucket.names(prefix, after).await,
            Self::Directory(directory) => directory.names(prefix, after),
        }
    }
}
