//! Where backups and the audit's seals are kept, apart from the database: a directory, or a bucket of S3.
//!
//! What is written is never changed: an object that is there is not written again, and each one is whole or not there. Under
//! Object Lock nobody can do otherwise.

mod directory;
mod s3;

pub use directory::Directory;
pub use s3::Bucket;

use jiff::Timestamp;
use std::{io, path::PathBuf};

/// Something cannot be written, read or listed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file.
    #[error("{0} cannot be used: {1}")]
    File(PathBuf, io::Error),
    /// S3 refused, or was not there.
    #[error("S3 did not {0}: {1}")]
    S3(&'static str, String),
    /// AWS cannot be asked.
    #[error(transparent)]
    Aws(#[from] aws::ConfigurationError),
    /// The place is no path and no `s3://bucket/prefix`.
    #[error("{0} is neither a directory nor s3://BUCKET or s3://BUCKET/PREFIX")]
    Place(String),
    /// A name may have letters, digits, `.`, `_` and `-`, and `/` between its parts.
    #[error("{0} is no name of an object")]
    Name(String),
    /// A thread ended before its work did.
    #[error("a thread ended")]
    Ended,
    /// No random numbers.
    #[error("no random numbers")]
    Random(#[from] oauth::RandomError),
}

/// Who may delete an object that is locked before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Nobody.
    Compliance,
    /// Who may bypass governance.
    Governance,
}

/// How long what is written is locked, if not as long as the bucket says.
#[derive(Clone, Copy, Debug)]
pub struct Lock {
    /// For whom.
    pub mode: LockMode,
    /// Until when.
    pub until: Timestamp,
}

/// A place for objects.
#[derive(Debug)]
pub enum Archive {
    /// A directory.
    Directory(Directory),
    /// A bucket.
    Bucket(Bucket),
}

impl Archive {
    /// The place with this name: a path, or `s3://BUCKET/PREFIX`. Nothing is read or made yet.
    pub fn open(place: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ArchiveError> {
        match place.strip_prefix("s3://") {
            Some(rest) => Ok(Self::Bucket(Bucket::open(rest, lookup).map_err(|error| match error {
                ArchiveError::Place(_) => ArchiveError::Place(place.to_owned()),
                other => other,
            })?)),
            None if place.is_empty() || place.contains("://") => Err(ArchiveError::Place(place.to_owned())),
            None => Ok(Self::Directory(Directory::at(place))),
        }
    }

    /// Adds an object, whole or not at all. False: there is one of this name already, and it stays.
    pub async fn add(&self, name: &str, bytes: Vec<u8>) -> Result<bool, ArchiveError> {
        checked(name)?;
        match self {
            Self::Directory(directory) => {
                let (directory, name) = (directory.clone(), name.to_owned());
                apart(move || directory.add(&name, &bytes)).await
            }
            // What a request takes is not part of every future around it.
            Self::Bucket(bucket) => Box::pin(bucket.add(name, bytes)).await,
        }
    }

    /// Reads an object, if it is there.
    pub async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        checked(name)?;
        match self {
            Self::Directory(directory) => {
                let (directory, name) = (directory.clone(), name.to_owned());
                apart(move || directory.get(&name)).await
            }
            Self::Bucket(bucket) => Box::pin(bucket.get(name)).await,
        }
    }

    /// The names of the objects whose names have this group as their first part, and come after another name; in order.
    pub async fn names(&self, group: &str, after: &str) -> Result<Vec<String>, ArchiveError> {
        checked(group)?;
        let mut names = match self {
            Self::Directory(directory) => directory.names(group)?,
            Self::Bucket(bucket) => Box::pin(bucket.names(group, after)).await?,
        };
        names.retain(|name| name.as_str() > after && checked(name).is_ok());
        names.sort_unstable();
        Ok(names)
    }

    /// The first parts of the names of all objects, in order.
    pub async fn groups(&self) -> Result<Vec<String>, ArchiveError> {
        let mut groups = match self {
            Self::Directory(directory) => directory.groups()?,
            Self::Bucket(bucket) => Box::pin(bucket.groups()).await?,
        };
        groups.retain(|group| checked(group).is_ok());
        groups.sort_unstable();
        Ok(groups)
    }

    /// Removes all objects of a group. There need not be any.
    pub async fn remove(&self, group: &str) -> Result<(), ArchiveError> {
        checked(group)?;
        match self {
            Self::Directory(directory) => {
                let (directory, group) = (directory.clone(), group.to_owned());
                apart(move || if directory.has(&group)? { directory.remove(&group) } else { Ok(()) }).await
            }
            Self::Bucket(bucket) => Box::pin(bucket.remove(group)).await,
        }
    }

    /// Removes an object. It need not be there.
    pub async fn delete(&self, name: &str) -> Result<(), ArchiveError> {
        checked(name)?;
        match self {
            Self::Directory(directory) => {
                let (directory, name) = (directory.clone(), name.to_owned());
                apart(move || directory.delete(&name)).await
            }
            Self::Bucket(bucket) => Box::pin(bucket.delete(name)).await,
        }
    }

    /// The directory, where it is for us to remove what is in it: what is in a bucket ends by the bucket's own rules.
    #[must_use]
    pub const fn removable(&self) -> Option<&Directory> {
        match self {
            Self::Directory(directory) => Some(directory),
            Self::Bucket(_) => None,
        }
    }
}

/// Does on a thread of its own what waits for a disk.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ArchiveError::Ended))
}

/// No name leads elsewhere.
fn checked(name: &str) -> Result<(), ArchiveError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain);
    if name.split('/').all(is_part) { Ok(()) } else { Err(ArchiveError::Name(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        for good in ["a", "20260301T120000Z-00ff/manifest.json", "a/b_c/000001"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for wrong in ["", "/a", "a/", "a//b", "../a", "a/..", "a/.b", "a b", "a\0", "ä"] {
            assert!(matches!(checked(wrong), Err(ArchiveError::Name(_))), "{wrong}");
        }
    }

    #[test]
    fn a_place_is_a_path_or_a_bucket() {
        let none = |_: &str| None;
        assert!(matches!(Archive::open("/var/backups", none), Ok(Archive::Directory(_))));
        for wrong in ["", "http://x", "s3://", "s3:///x", "s3://Bucket/../x"] {
            assert!(matches!(Archive::open(wrong, |_| Some("x".to_owned())), Err(ArchiveError::Place(_))), "{wrong}");
        }
        assert!(matches!(Archive::open("s3://bucket/jhe", none), Err(ArchiveError::Aws(_))));
    }
}
