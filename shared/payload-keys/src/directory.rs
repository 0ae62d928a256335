//! A directory of this machine, with a file for each key: for this account only, and for several processes at once.

use crate::{Entry, Tombstone, VaultError};
use payload::KeyId;
use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// What others than the account may do with a file: nothing.
const OTHERS: u32 = 0o077;

/// The directory.
#[derive(Clone, Debug)]
pub(crate) struct Directory(PathBuf);

fn at(path: &Path) -> impl FnOnce(io::Error) -> VaultError {
    let path = path.to_owned();
    move |error| VaultError::File(path, error)
}

/// Does on a thread of its own what waits for a disk.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
) -> Result<T, VaultError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(VaultError::Ended))
}

impl Directory {
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub(crate) async fn entries(&self, ids: Vec<KeyId>) -> Result<HashMap<KeyId, Entry>, VaultError> {
        let directory = self.clone();
        apart(move || {
            let found = ids.into_iter().map(|id| Ok(directory.entry(id)?.map(|entry| (id, entry))));
            found.filter_map(Result::transpose).collect()
        })
        .await
    }

    /// Adds a key, unless something is there.
    pub(crate) async fn add(&self, id: KeyId, wrapped: Vec<u8>) -> Result<(), VaultError> {
        let directory = self.clone();
        apart(move || {
            directory.made()?;
            let path = directory.path(id);
            let draft = directory.draft(&wrapped)?;
            // A link is made or not, and never takes the place of a file.
            let linked = match fs::hard_link(&draft, &path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            };
            let removed = fs::remove_file(&draft);
            linked.and(removed).and_then(|()| directory.sync()).map_err(at(&path))
        })
        .await
    }

    /// Puts a tombstone in the place of a key. What was there is overwritten first, as far as a disk lets one do that.
    pub(crate) async fn destroy(&self, id: KeyId, tombstone: Tombstone) -> Result<bool, VaultError> {
        let directory = self.clone();
        apart(move || {
            directory.made()?;
            let path = directory.path(id);
            if matches!(directory.entry(id)?, Some(Entry::Destroyed(_))) {
                return Ok(false);
            }
            let text = serde_json::to_vec(&tombstone).map_err(|error| at(&path)(error.into()))?;
            let draft = directory.draft(&text)?;
            overwrite(&path)
                .and_then(|()| fs::rename(&draft, &path))
                .and_then(|()| directory.sync())
                .map_err(at(&path))?;
            Ok(true)
        })
        .await
    }

    pub(crate) async fn tombstones(&self) -> Result<Vec<(KeyId, Tombstone)>, VaultError> {
        let directory = self.clone();
        apart(move || {
            let names = match fs::read_dir(&directory.0) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                names => names.map_err(at(&directory.0))?,
            };
            let mut found = Vec::new();
            for name in names {
                let name = name.map_err(at(&directory.0))?.file_name();
                // Drafts have other names.
                let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
                if let Some(Entry::Destroyed(tombstone)) = directory.entry(id)? {
                    found.push((id, tombstone));
                }
            }
            found.sort_by_key(|(id, _)| *id);
            Ok(found)
        })
        .await
    }

    fn path(&self, id: KeyId) -> PathBuf {
        self.0.join(id.to_string())
    }

    fn entry(&self, id: KeyId) -> Result<Option<Entry>, VaultError> {
        let path = self.path(id);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at(&path)(error)),
        };
        let mode = file.metadata().map_err(at(&path))?.mode();
        if mode & OTHERS != 0 {
            return Err(at(&path)(io::Error::other("it must be for this account only: chmod 600")));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(at(&path))?;
        if bytes.first() != Some(&b'{') {
            return Ok(Some(Entry::Wrapped(bytes)));
        }
        serde_json::from_slice(&bytes).map(|it| Some(Entry::Destroyed(it))).map_err(|error| at(&path)(error.into()))
    }

    /// Makes the directory where there is none. One that others may look into is refused.
    fn made(&self) -> Result<(), VaultError> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(at(&self.0))?;
        let mode = fs::metadata(&self.0).map_err(at(&self.0))?.permissions().mode();
        if mode & OTHERS == 0 {
            Ok(())
        } else {
            Err(at(&self.0)(io::Error::other("it must be for this account only: chmod 700")))
        }
    }

    /// A file under a name of its own, whole on the disk: a crash leaves no half of a key.
    fn draft(&self, bytes: &[u8]) -> Result<PathBuf, VaultError> {
        let unique = oauth::Secret::generate()?;
        let draft = self.0.join(format!(".{}", unique.expose()));
        let written = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        written().map_err(at(&draft))?;
        Ok(draft)
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

fn overwrite(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let length = file.metadata()?.len();
    file.write_all(&vec![0; usize::try_from(length).unwrap_or_default()])?;
    file.sync_all()
}
