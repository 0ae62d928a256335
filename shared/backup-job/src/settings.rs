//! Where backups go, who may read them, and how long they are kept.

use crate::JobError;
use archive::Archive;
use backup::{
    Policy,
    age::{self, Recipient},
};
use runtime::App;
use signer::Place;
use std::path::PathBuf;

/// For whom the data key is wrapped.
#[derive(Clone, Debug)]
pub(crate) enum Readers {
    /// Who may use this key of AWS KMS.
    Kms(String),
    /// These recipients of age.
    Age(Vec<Recipient>),
    /// The identity that this host keeps among its secrets, and makes when there is none.
    Own,
}

/// The settings of backups.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `BACKUP_TO`: a directory, or `s3://BUCKET/PREFIX`.
    pub place: Option<String>,
    pub(crate) readers: Readers,
    pub(crate) signer: Option<Place>,
    /// `BACKUP_PUBLIC_KEY_FILE`: the key to believe, where it is not the one that signs here.
    pub(crate) public_key: Option<PathBuf>,
    /// `BACKUP_IDENTITY_FILE`.
    pub(crate) identity: Option<PathBuf>,
    /// `BACKUP_KEEP_DAYS`, `BACKUP_KEEP_WEEKS`, `BACKUP_KEEP_MONTHS`, `BACKUP_KEEP_YEARS`.
    pub keep: Policy,
}

const TO: &str = "BACKUP_TO";
const RECIPIENTS: &str = "BACKUP_RECIPIENTS";

impl Settings {
    /// As the environment of the process says.
    pub fn of(app: &App) -> Result<Self, JobError> {
        let set = |name: &str| app.variable(name).filter(|value| !value.is_empty());
        let among_secrets = |name: &str| app.secret_directory().map(|directory| directory.join(name));
        let readers = match (set("BACKUP_KEY_ARN"), set(RECIPIENTS)) {
            (Some(_), Some(_)) => {
                return Err(JobError::Setting(RECIPIENTS, "BACKUP_KEY_ARN is set too: use one of them"));
            }
            (Some(key), None) => Readers::Kms(key),
            (None, Some(text)) => Readers::Age(age::recipients(&text).map_err(JobError::from)?),
            (None, None) => Readers::Own,
        };
        let file = set("BACKUP_SIGNING_KEY_FILE").map(PathBuf::from);
        let file = file.or_else(|| among_secrets("backup_signing_key.pem"));
        Ok(Self {
            place: Self::place(app),
            readers,
            signer: Place::of(set("BACKUP_SIGNING_KEY_ARN"), file),
            public_key: set("BACKUP_PUBLIC_KEY_FILE").map(PathBuf::from),
            identity: set("BACKUP_IDENTITY_FILE").map(PathBuf::from).or_else(|| among_secrets("backup_identity.txt")),
            keep: Policy::of(set).map_err(|name| JobError::Setting(name, "use a number"))?,
        })
    }

    /// `BACKUP_TO`, whatever the other settings are.
    pub(crate) fn place(app: &App) -> Option<String> {
        app.variable(TO).filter(|value| !value.is_empty())
    }

    /// Where backups are kept.
    pub fn archive(&self, app: &App) -> Result<Archive, JobError> {
        let place = self.place.as_deref().ok_or(JobError::Setting(TO, "it is not set"))?;
        Ok(Archive::open(place, app.variables())?)
    }
}
