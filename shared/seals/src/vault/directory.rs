//! A directory of files that are written once.

use crate::SealsError;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// The directory.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// A file gets its name when it is whole, and only if nothing has that name.
    pub(crate) fn add(&self, name: &str, bytes: &[u8]) -> Result<bool, SealsError> {
        let path = self.0.join(name);
        let parent = path.parent().unwrap_or(&self.0);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        let unnamed = unnamed(parent)?;
        write(&unnamed, bytes)?;
        let named = fs::hard_link(&unnamed, &path);
        fs::remove_file(&unnamed)?;
        match named {
            Ok(()) => {
                File::open(parent)?.sync_all()?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn get(&self, name: &str) -> Result<Option<Vec<u8>>, SealsError> {
        match fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A prefix is the name of a directory in it, with a slash.
    pub(super) fn names(&self, prefix: &str, after: &str) -> Result<Vec<String>, SealsError> {
        let entries = match fs::read_dir(self.0.join(prefix)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = format!("{prefix}{}", entry?.file_name().to_string_lossy());
            if name.as_str() > after {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// A path that nobody else has: two may write the same at once.
fn unnamed(directory: &Path) -> Result<PathBuf, SealsError> {
    let random = oauth::token::random_bytes::<8>().map_err(io::Error::other)?;
    Ok(directory.join(format!(".{:016x}", u64::from_be_bytes(random))))
}

/// A file that nobody writes again.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_was_added_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::at(place.path().join("seals"));
        assert_eq!(directory.names("seals/", "").unwrap(), Vec::<String>::new());
        assert_eq!(directory.get("seals/1").unwrap(), None);
        assert!(directory.add("seals/1", b"one").unwrap());
        assert!(!directory.add("seals/1", b"another").unwrap());
        assert!(directory.add("seals/2", b"two").unwrap());
        assert!(directory.add("events/1", b"").unwrap());
        assert_eq!(directory.get("seals/1").unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(directory.names("seals/", "").unwrap(), ["seals/1", "seals/2"]);
        assert_eq!(directory.names("seals/", "seals/1").unwrap(), ["seals/2"]);
        let mode = |name| fs::metadata(place.path().join("seals").join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("seals/1"), mode("seals")), (0o400, 0o700));
    }

    #[test]
    fn a_place_that_cannot_be_used_is_an_error_and_not_empty() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("seals"), "a file").unwrap();
        let directory = Directory::at(place.path().to_owned());
        assert!(directory.add("seals/1", b"").is_err());
        assert!(directory.get("seals/1").is_err());
        assert!(directory.names("seals/", "").is_err());
    }
}
