//! Why there are no keys, or no signature.

use oauth::{RandomError, ring::RingError, signing::SigningError};
use runtime::Failure;
use secrets::SecretsError;

/// The keys cannot be had, used or rotated.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A setting is missing or not usable.
    #[error("{0}: {1}")]
    Setting(&'static str, &'static str),
    /// AWS cannot be asked.
    #[error(transparent)]
    Aws(#[from] aws::ConfigurationError),
    /// The document cannot be read or written.
    #[error("the signing keys cannot be had")]
    Secrets(#[from] SecretsError),
    /// The document is not there.
    #[error("there are no signing keys yet: oauth-rotate-keys makes them")]
    None,
    /// The document is not one.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// A key cannot be used.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// KMS refused. Its code is kept; its message could repeat the request.
    #[error("KMS did not {0}: {1}")]
    Kms(&'static str, String),
    /// No random bytes to make keys of.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The making of a key was cut off.
    #[error("the making of a key was cut off")]
    CutOff,
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Secrets(_) | KeysError::None | KeysError::Kms(..) | KeysError::CutOff => {
                Self::Unavailable(Box::new(error))
            }
            _ => Self::Internal(Box::new(error)),
        }
    }
}
