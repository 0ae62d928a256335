//! Why nothing is sealed or checked.

use archive::ArchiveError;
use runtime::Failure;
use signer::SignerError;

/// The key or the place of the seals cannot be had or used.
#[derive(Debug, thiserror::Error)]
pub enum SealsError {
    /// A setting is missing or not usable.
    #[error("{0}: {1}")]
    Setting(&'static str, &'static str),
    /// The key.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The place.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl From<SealsError> for Failure {
    fn from(error: SealsError) -> Self {
        let is_settled = match &error {
            SealsError::Setting(..) => true,
            SealsError::Signer(error) => matches!(error, SignerError::Aws(_) | SignerError::Key(_)),
            SealsError::Archive(error) => !matches!(error, ArchiveError::S3(..) | ArchiveError::File(..)),
        };
        // What another try cannot change, and what it may.
        if is_settled { Self::Internal(Box::new(error)) } else { Self::Unavailable(Box::new(error)) }
    }
}
