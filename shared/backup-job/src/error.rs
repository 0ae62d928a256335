//! What can go wrong with a backup.

use archive::ArchiveError;
use backup::{Contents, FormatError};
use runtime::{Failure, SetupError};
use secrets::SecretsError;
use signer::SignerError;
use store::{ConfigError, LoginError, RestoreError, StoreError};

/// Why a backup was not made, not restored, or is not believed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// A setting is missing or not usable.
    #[error("{0}: {1}")]
    Setting(&'static str, &'static str),
    /// The key service.
    #[error("KMS did not {0}: {1}")]
    Kms(&'static str, String),
    /// There is no such backup, or it was never finished.
    #[error("there is no complete backup {0}")]
    None(String),
    /// A database that is none of an application's.
    #[error("{0} is a database of the server itself, and new ones may be made like it: name another one")]
    NotOurs(String),
    /// A database whose name is for those of drills.
    #[error("{0} is a name for what drills make and drop: name another one")]
    OfDrills(String),
    /// Where a drill would make its database, there is one that none made.
    #[error(
        "there is a database {0} that no drill made, and it is not empty, so it is left alone. Drills need that name: rename it, with \
         ALTER DATABASE {0} RENAME TO another name, or drop it if nobody needs it"
    )]
    Occupied(String),
    /// A chunk is not there.
    #[error("chunk {1} of {0} is missing")]
    Missing(String, u32),
    /// What was restored is not what was backed up.
    #[error("{table} has {found:?} after it was restored, and had {expected:?}")]
    Differs {
        /// The table.
        table: String,
        /// What it had.
        expected: Box<Contents>,
        /// What it has.
        found: Box<Contents>,
    },
    /// What was restored does not serve as it should.
    #[error("what was restored does not serve as it should: {0}")]
    Served(String),
    /// The audit in what was restored is not as it was sealed.
    #[error("the audit in what was restored is not as it was sealed:{0}")]
    Audit(Box<seals::Report>),
    /// The audit in what was restored could not be compared with its seals.
    #[error("the audit in what was restored cannot be checked: {0}")]
    Unchecked(String),
    /// A part of this process ended.
    #[error("a part of the process ended")]
    Ended,
    /// The format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The key that signs.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// An object of this name was there already.
    #[error("{0} is there already")]
    Exists(String),
    /// Where backups are kept.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// AWS cannot be asked.
    #[error(transparent)]
    Aws(#[from] aws::ConfigurationError),
    /// The keys.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The process.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The database that was to be filled.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A login.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JobError {
    /// Whether what was named is no place for backups, whatever there is on this machine or elsewhere.
    #[must_use]
    pub const fn is_no_place(&self) -> bool {
        matches!(self, Self::Archive(ArchiveError::Place(_)))
    }
}

impl From<ConfigError> for JobError {
    fn from(error: ConfigError) -> Self {
        Self::Setup(error.into())
    }
}

impl From<oauth::RandomError> for JobError {
    fn from(_: oauth::RandomError) -> Self {
        Self::Format(FormatError::Cryptography)
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Store(error) => error.into(),
            JobError::Login(error) => error.into(),
            JobError::Setup(error) => error.into(),
            // Another try may find them there. What is wrong with a place as it was named is told, like every other mistake.
            JobError::Kms(..)
            | JobError::Archive(ArchiveError::S3(..) | ArchiveError::Ended | ArchiveError::Random(_))
            | JobError::Signer(SignerError::Kms(..)) => Self::Unavailable(Box::new(error)),
            // It is the operator who reads it, and it names tables and settings only.
            other => Self::Invalid(other.to_string()),
        }
    }
}
