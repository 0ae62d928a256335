//! A secret text that is replaced while processes run: read by many, written by one function.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use oauth::token::sha256;
use secrecy::{ExposeSecret, SecretString};

use crate::SecretsError;
use crate::directory::{REPLACED, at, draft_of, open_directory, read, write_draft};
use crate::secrets_manager::{CURRENT, client, failed};

/// A text in a secret of its own, or in a private file.
pub struct Document(Source);

enum Source {
    SecretsManager { client: Client, id: String },
    File(PathBuf),
}

/// What was read.
#[derive(Debug)]
pub struct Stored {
    /// The text.
    pub text: SecretString,
    /// Which one this is.
    pub version: Version,
}

/// Names a text among those that were there before and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

impl Document {
    /// The secret in Secrets Manager with this ARN or name, read and written as the environment says.
    pub fn named(lookup: impl Fn(&str) -> Option<String>, id: &str) -> Result<Self, SecretsError> {
        Ok(Self::in_secrets_manager(client(lookup)?, id))
    }

    /// The same, through this client.
    #[must_use]
    pub fn in_secrets_manager(client: Client, id: &str) -> Self {
        Self(Source::SecretsManager { client, id: id.to_owned() })
    }

    /// A file in a directory that only its owner may use.
    #[must_use]
    pub fn in_file(path: PathBuf) -> Self {
        Self(Source::File(path))
    }

    /// What tells the secret from all others of the same account and region. A file has nothing like that.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Source::SecretsManager { id, .. } => Some(id),
            Source::File(_) => None,
        }
    }

    /// The text, if there is one.
    pub async fn read(&self) -> Result<Option<Stored>, SecretsError> {
        match &self.0 {
            Source::SecretsManager { client, id } => {
                match client.get_secret_value().secret_id(id).version_stage(CURRENT).send().await {
                    Ok(answer) => {
                        let (Some(text), Some(version)) = (answer.secret_string(), answer.version_id()) else {
                            return Err(SecretsError::NotText);
                        };
                        Ok(Some(Stored { text: text.into(), version: Version(version.to_owned()) }))
                    }
                    // The same code for a secret without a value and for none at all.
                    Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
                    Err(error) => Err(failed(&error)),
                }
            }
            Source::File(path) => read_file(path),
        }
    }

    /// Puts a text in the place of the one of this version, or of none. False when somebody else was first: then nothing
    /// is written.
    pub async fn replace(&self, seen: Option<&Version>, text: &SecretString) -> Result<bool, SecretsError> {
        match &self.0 {
            Source::SecretsManager { client, id } => {
                // The id of a new version is given by its writer and can be given once. Made of the version before, it is
                // the same for all who saw that one, so only the first of them writes.
                let successor = format!("{id}\n{}", seen.map_or("", |version| version.0.as_str()));
                let put = client
                    .put_secret_value()
                    .secret_id(id)
                    .client_request_token(hex(&sha256(successor.as_bytes())))
                    .secret_string(text.expose_secret());
                match put.send().await {
                    Ok(_) => Ok(true),
                    Err(error) if error.code() == Some("ResourceExistsException") => Ok(false),
                    Err(error) => Err(failed(&error)),
                }
            }
            Source::File(path) => replace_file(path, seen, text),
        }
    }
}

fn read_file(path: &Path) -> Result<Option<Stored>, SecretsError> {
    Ok(read(path)?.map(|text| Stored { text: text.as_str().into(), version: Version(hex(&sha256(text.as_bytes()))) }))
}

fn replace_file(path: &Path, seen: Option<&Version>, text: &SecretString) -> Result<bool, SecretsError> {
    open_directory(path.parent().unwrap_or(path))?;
    // Given back when the file is closed, also by a process that dies.
    let lock_path = path.with_extension("lock");
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock_path);
    let lock = lock.map_err(|source| at(&lock_path, source))?;
    lock.lock().map_err(|source| at(&lock_path, source))?;
    if read_file(path)?.map(|stored| stored.version).as_ref() != seen {
        return Ok(false);
    }
    let draft = draft_of(path)?;
    let moved = write_draft(&draft, REPLACED, text).and_then(|()| fs::rename(&draft, path));
    moved.map_err(|source| {
        let _ = fs::remove_file(&draft);
        at(path, source)
    })?;
    Ok(true)
}

/// Bytes in hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;
    use crate::testing::Directory;

    fn replace(path: &Path, seen: Option<&Version>, text: &str) -> bool {
        replace_file(path, seen, &text.into()).unwrap()
    }

    #[test]
    fn a_file_is_replaced_only_by_who_saw_what_is_there() {
        let directory = Directory::new();
        let path = directory.path().join("ring.json");
        assert!(read_file(&path).unwrap().is_none());
        assert!(replace(&path, None, "first"));
        assert!(!replace(&path, None, "also first"));
        let first = read_file(&path).unwrap().unwrap();
        assert_eq!(first.text.expose_secret(), "first");
        assert!(replace(&path, Some(&first.version), "second"));
        assert!(!replace(&path, Some(&first.version), "another second"));
        assert_eq!(read_file(&path).unwrap().unwrap().text.expose_secret(), "second");
    }

    #[test]
    fn of_writers_at_the_same_time_one_succeeds_and_readers_see_whole_texts() {
        let directory = Directory::new();
        let path = directory.path().join("ring.json");
        assert!(replace(&path, None, &"0".repeat(10_000)));
        for round in 1..=20 {
            let seen = read_file(&path).unwrap().unwrap();
            let successes = AtomicU32::new(0);
            thread::scope(|scope| {
                for writer in 0..4 {
                    let (path, version, successes) = (&path, &seen.version, &successes);
                    scope.spawn(move || {
                        let text = format!("{round}.{writer}.").repeat(2_000);
                        if replace(path, Some(version), &text) {
                            successes.fetch_add(1, Ordering::Relaxed);
                        }
                        let text = read_file(path).unwrap().unwrap().text;
                        let parts: std::collections::BTreeSet<&str> =
                            text.expose_secret().split_inclusive('.').collect();
                        assert!(parts.len() <= 2, "{parts:?}");
                    });
                }
            });
            assert_eq!(successes.into_inner(), 1);
        }
        let mut names: Vec<_> =
            fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort_unstable();
        assert_eq!(names, ["ring.json", "ring.lock"], "no draft is left");
    }
}
