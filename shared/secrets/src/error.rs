//! Why there are no secrets.

use std::io;
use std::path::PathBuf;

/// Secrets could not be had. The text names variables, files and fields, never a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A variable is needed.
    #[error("set {0} or {0}_FILE")]
    MissingVariable(&'static str),
    /// No secret is named that could hold it.
    #[error("set {0}")]
    NotNamed(&'static str),
    /// What was read does not have it.
    #[error("the secret has no {0}")]
    Missing(&'static str),
    /// Secrets Manager cannot be asked.
    #[error(transparent)]
    Aws(#[from] aws::ConfigurationError),
    /// It is not clear which of the two counts.
    #[error("set only one of {0} and {0}_FILE")]
    TwoVariables(&'static str),
    /// The file that a variable names cannot be read.
    #[error("the file named by {variable}_FILE cannot be read")]
    VariableFile {
        /// The variable without `_FILE`.
        variable: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The value is not a key.
    #[error("{0} is not 32 bytes in base64")]
    NotAKey(&'static str),
    /// A file or directory cannot be made or read.
    #[error("{path} cannot be used")]
    Path {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others could read the secrets.
    #[error("{0} must be accessible to its owner only")]
    Permissions(PathBuf),
    /// The secret in Secrets Manager cannot be read.
    #[error("Secrets Manager did not give the secret: {0}")]
    SecretsManager(String),
    /// The secret in Secrets Manager is not a JSON object of the right shape. The parser's own message is left out:
    /// it can quote the secret.
    #[error("the secret is not a JSON object whose fields are keys and passwords as text")]
    Shape,
    /// The secret of a login is not a JSON object of the right shape.
    #[error("the secret is not a JSON object with username and password as text")]
    LoginShape,
    /// A field that proves something is there and says nothing.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// The secret in Secrets Manager is binary.
    #[error("the secret is not text")]
    NotText,
    /// No random bytes to make keys of.
    #[error(transparent)]
    Random(#[from] oauth::RandomError),
}
