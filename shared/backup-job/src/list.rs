//! What backups there are.

use crate::{JobError, Settings, keys};
use archive::Archive;
use backup::{Manifest, SignedManifest, is_id, manifest_name};
use runtime::App;

/// The manifest of a backup, once it is known that it is complete and whose it is.
pub async fn verified(app: &App, settings: &Settings, archive: &Archive, id: &str) -> Result<Manifest, JobError> {
    let missing = || JobError::None(id.to_owned());
    if !is_id(id) {
        return Err(missing());
    }
    let file = archive.get(&manifest_name(id)).await?.ok_or_else(missing)?;
    Ok(SignedManifest::verified(&file, id, &keys::trusted(app, settings).await?)?)
}

/// The ids of all backups among these names, finished or not, from the oldest: an id begins with its time.
pub(crate) fn ids(mut groups: Vec<String>) -> Vec<String> {
    groups.retain(|group| is_id(group));
    groups.sort_unstable();
    groups
}

/// The id of the newest backup that was finished.
pub async fn newest(archive: &Archive) -> Result<Option<String>, JobError> {
    for id in ids(archive.groups().await?).into_iter().rev() {
        if archive.get(&manifest_name(&id)).await?.is_some() {
            return Ok(Some(id));
        }
    }
    Ok(None)
}
