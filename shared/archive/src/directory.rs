//! A directory of this machine, or one that is mounted here.

use crate::{ArchiveError, checked};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// The directory. Its files are for this account only.
#[derive(Clone, Debug)]
pub struct Directory(PathBuf);

fn at(path: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
    let path = path.to_owned();
    move |error| ArchiveError::File(path, error)
}

impl Directory {
    /// At this path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// First under a name of its own, then linked to the real one: a crash leaves no half of an object.
    pub(crate) fn add(&self, name: &str, bytes: &[u8]) -> Result<bool, ArchiveError> {
        let path = self.0.join(name);
        let parent = path.parent().unwrap_or(&self.0).to_owned();
        DirBuilder::new().recursive(true).mode(0o700).create(&parent).map_err(at(&parent))?;
        let unique = oauth::Secret::generate()?;
        let draft = parent.join(format!(".{}", unique.expose()));
        let linked = write(&draft, bytes).and_then(|()| fs::hard_link(&draft, &path));
        let removed = fs::remove_file(&draft);
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            linked => {
                let durable = linked.and(removed).and_then(|()| File::open(&parent)?.sync_all());
                durable.map(|()| true).map_err(at(&path))
            }
        }
    }

    pub(crate) fn get(&self, name: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        let path = self.0.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ArchiveError::File(path, error)),
        }
    }

    pub(crate) fn delete(&self, name: &str) -> Result<(), ArchiveError> {
        let path = self.0.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ArchiveError::File(path, error)),
            _ => Ok(()),
        }
    }

    pub(crate) fn names(&self, group: &str) -> Result<Vec<String>, ArchiveError> {
        let names = entries(&self.0.join(group))?.into_iter();
        Ok(names.map(|name| format!("{group}/{name}")).collect())
    }

    /// The first parts of the names of all objects, in any order.
    pub fn groups(&self) -> Result<Vec<String>, ArchiveError> {
        entries(&self.0)
    }

    /// Whether there is an object of this name.
    pub fn has(&self, name: &str) -> Result<bool, ArchiveError> {
        checked(name)?;
        let path = self.0.join(name);
        path.try_exists().map_err(at(&path))
    }

    /// Removes all objects whose names begin so. What is no longer listed is removed in peace: first it gets a name that no group
    /// has.
    pub fn remove(&self, group: &str) -> Result<(), ArchiveError> {
        checked(group)?;
        let path = self.0.join(group);
        let unique = oauth::Secret::generate()?;
        let removed = self.0.join(format!(".{}", unique.expose()));
        fs::rename(&path, &removed).and_then(|()| fs::remove_dir_all(&removed)).map_err(at(&path))
    }
}

/// What is in a directory, which need not be there.
fn entries(path: &Path) -> Result<Vec<String>, ArchiveError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(path)(error)),
    };
    let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
    let names: io::Result<Vec<Option<String>>> = names.collect();
    Ok(names.map_err(at(path))?.into_iter().flatten().collect())
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use crate::Archive;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    #[tokio::test]
    async fn what_was_added_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let archive = Archive::open(place.path().join("kept").to_str().unwrap(), |_| None).unwrap();
        assert_eq!(archive.names("seals", "").await.unwrap(), Vec::<String>::new());
        assert_eq!(archive.get("seals/1").await.unwrap(), None);
        assert!(archive.add("seals/1", b"one".to_vec()).await.unwrap());
        assert!(!archive.add("seals/1", b"another".to_vec()).await.unwrap());
        assert!(archive.add("seals/2", b"two".to_vec()).await.unwrap());
        assert!(archive.add("events/1", Vec::new()).await.unwrap());
        assert_eq!(archive.get("seals/1").await.unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(archive.names("seals", "").await.unwrap(), ["seals/1", "seals/2"]);
        assert_eq!(archive.names("seals", "seals/1").await.unwrap(), ["seals/2"]);
        assert_eq!(archive.groups().await.unwrap(), ["events", "seals"]);
        archive.delete("seals/2").await.unwrap();
        archive.delete("seals/2").await.unwrap();
        assert_eq!(archive.names("seals", "").await.unwrap(), ["seals/1"]);
        assert!(archive.delete("../kept").await.is_err());
        archive.remove("events").await.unwrap();
        archive.remove("events").await.unwrap();
        assert_eq!(archive.groups().await.unwrap(), ["seals"]);
        assert!(archive.remove("../kept").await.is_err());
        let mode = |name| fs::metadata(place.path().join("kept").join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("seals/1"), mode("seals")), (0o400, 0o700));
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_used_is_an_error_and_not_empty() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("seals"), "a file").unwrap();
        let archive = Archive::open(place.path().to_str().unwrap(), |_| None).unwrap();
        assert!(archive.add("seals/1", Vec::new()).await.is_err());
        assert!(archive.get("seals/1").await.is_err());
        assert!(archive.names("seals", "").await.is_err());
    }
}
