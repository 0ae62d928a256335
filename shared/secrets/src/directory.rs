//! Secrets of a standalone host: files in a private directory, made at first start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use oauth::Secret;
use oauth::signing::{KeyBits, generate_rsa_key};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::{Key, Secrets, SecretsError};

/// The permission bits of everybody but the owner.
const GROUP_AND_OTHERS: u32 = 0o077;

impl Secrets {
    /// Reads `link_key`, `form_key`, `factor_key` and `saml_key.pem` from the directory, and makes what is
    /// missing.
    ///
    /// The directory gets mode 0700 and its files 0600. A directory or file that others may use is refused.
    pub fn from_directory(path: &Path, database_password: Option<SecretString>) -> Result<Self, SecretsError> {
        open_directory(path)?;
        Ok(Self {
            database_username: None,
            database_password,
            link_key: Some(key(&path.join("link_key"), "link_key")?.into()),
            form_key: Some(key(&path.join("form_key"), "form_key")?.into()),
            factor_key: Some(key(&path.join("factor_key"), "factor_key")?.into()),
            payload_key: Some(key(&path.join("payload_key"), "payload_key")?.into()),
            origin_keys: Vec::new(),
            smtp_password: None,
            saml_key: Some(
                read_or_make(&path.join("saml_key.pem"), REPLACED, || {
                    Ok::<_, SecretsError>(generate_rsa_key(KeyBits::B2048)?)
                })?
                .as_str()
                .into(),
            ),
        })
    }
}

/// The mode of a secret that its owner may replace, and of one that is never written again.
pub(crate) const REPLACED: u32 = 0o600;
pub(crate) const FINAL: u32 = 0o400;

pub(crate) fn open_directory(path: &Path) -> Result<(), SecretsError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| at(path, source))?;
    let metadata = fs::metadata(path).map_err(|source| at(path, source))?;
    private(path, metadata.mode())
}

fn key(path: &Path, name: &'static str) -> Result<Key, SecretsError> {
    // A token has 256 random bits in base64url, which is what a key is.
    let text = read_or_make(path, REPLACED, || Ok::<_, SecretsError>(Secret::generate()?.expose().into()))?;
    Key::parse(&text).ok_or(SecretsError::NotAKey(name))
}

pub(crate) fn read_or_make<E: From<SecretsError>>(
    path: &Path,
    mode: u32,
    make: impl FnOnce() -> Result<SecretString, E>,
) -> Result<Zeroizing<String>, E> {
    if let Some(text) = read(path)? {
        return Ok(text);
    }
    write_new(path, mode, &make()?)?;
    // Another process may have been first: what is in the file counts.
    read(path)?.ok_or_else(|| at(path, io::ErrorKind::NotFound.into()).into())
}

pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, SecretsError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(at(path, source)),
    };
    private(path, file.metadata().map_err(|source| at(path, source))?.mode())?;
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(|source| at(path, source))?;
    Ok(Some(text))
}

/// Writes a whole file or none: first under a name of its own, then linked to the real one unless that exists.
fn write_new(path: &Path, mode: u32, text: &SecretString) -> Result<(), SecretsError> {
    let draft = draft_of(path)?;
    let linked = write_draft(&draft, mode, text).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = fs::remove_file(&draft);
    linked.and(removed).map_err(|source| at(path, source))
}

pub(crate) fn draft_of(path: &Path) -> Result<PathBuf, SecretsError> {
    let unique = Secret::generate()?;
    Ok(path.with_extension(format!("{}.draft", unique.expose())))
}

pub(crate) fn write_draft(draft: &Path, mode: u32, text: &SecretString) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(draft)?;
    file.write_all(text.expose_secret().as_bytes())?;
    file.sync_all()
}

fn private(path: &Path, mode: u32) -> Result<(), SecretsError> {
    if mode & GROUP_AND_OTHERS == 0 { Ok(()) } else { Err(SecretsError::Permissions(path.to_owned())) }
}

pub(crate) fn at(path: &Path, source: io::Error) -> SecretsError {
    SecretsError::Path { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
