//! A secret in a file of its own that nobody else may read.

use crate::{
    SecretsError,
    directory::{FINAL, open_directory, read, read_or_make},
};
use secrecy::SecretString;
use std::path::Path;

/// What a file holds, if it is there. One that others may read is refused.
pub fn private_file(path: &Path) -> Result<Option<SecretString>, SecretsError> {
    Ok(read(path)?.map(|text| text.as_str().into()))
}

/// The same; when it is not there, it is made, and never written again. Of two that make it at once, one counts for both.
pub fn private_file_or<E: From<SecretsError>>(
    path: &Path,
    make: impl FnOnce() -> Result<SecretString, E>,
) -> Result<SecretString, E> {
    if let Some(text) = private_file(path)? {
        return Ok(text);
    }
    if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        open_directory(directory)?;
    }
    Ok(read_or_make(path, FINAL, make)?.as_str().into())
}
