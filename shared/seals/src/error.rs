//! Why nothing is sealed or checked.

use runtime::Failure;
use secrets::SecretsError;
use std::io;

/// The key or the place of the seals cannot be had or used.
#[derive(Debug, thiserror::Error)]
pub enum SealsError {
    /// A setting is missing or not usable.
    #[error("{0}: {1}")]
    Setting(&'static str, &'static str),
    /// AWS cannot be asked.
    #[error(transparent)]
    Aws(#[from] aws::ConfigurationError),
    /// The key cannot be read or written.
    #[error("the key of the seals cannot be had")]
    Secrets(#[from] SecretsError),
    /// The key cannot be used.
    #[error("the key of the seals is not an ECDSA key on P-384")]
    Key,
    /// KMS refused. Its code is kept.
    #[error("KMS did not {0}: {1}")]
    Kms(&'static str, String),
    /// S3 refused. Its code is kept.
    #[error("S3 did not {0}: {1}")]
    Bucket(&'static str, String),
    /// A file cannot be read or written.
    #[error("the directory of the seals cannot be used")]
    Directory(#[from] io::Error),
}

impl From<SealsError> for Failure {
    fn from(error: SealsError) -> Self {
        match error {
            SealsError::Secrets(_) | SealsError::Kms(..) | SealsError::Bucket(..) | SealsError::Directory(_) => {
                Self::Unavailable(Box::new(error))
            }
            SealsError::Setting(..) | SealsError::Aws(_) | SealsError::Key => Self::Internal(Box::new(error)),
        }
    }
}
