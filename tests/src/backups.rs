//! A world with a place for backups, and databases to restore them into.

use crate::World;
use backup::{Contents, Digest};
use backup_job::JobError;
use futures_util::TryStreamExt as _;
use runtime::Occasion;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    pin::pin,
};
use store::{DatabaseConfig, Snapshot};

/// A world, and its backups in a directory with keys of their own.
pub struct BackedUp {
    /// The world.
    pub world: World,
    directory: tempfile::TempDir,
}

/// A call of what the clock calls.
#[must_use]
pub fn occasion() -> Occasion {
    Occasion::new("backup-test", Value::Null)
}

/// The settings that lead to a directory.
fn settings(directory: &Path) -> Vec<(&'static str, String)> {
    let file = |name: &str| directory.join(name).display().to_string();
    vec![
        ("BACKUP_TO", file("backups")),
        ("BACKUP_SIGNING_KEY_FILE", file("keys/signing.pem")),
        ("BACKUP_IDENTITY_FILE", file("keys/identity.txt")),
        ("AUDIT_SEAL_DIRECTORY", file("seals")),
        ("AUDIT_SEAL_KEY_FILE", file("keys/audit_seal.key")),
    ]
}

impl BackedUp {
    /// A new world without a backup.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same, with other settings besides.
    pub async fn with(more: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let own = settings(directory.path());
        let own = own
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
        let settings: Vec<(&str, &str)> = own.chain(more.iter().copied()).collect();
        Self { world: World::with(&settings).await, directory }
    }

    /// A file or directory among the keys and the backups.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a backup: its id.
    pub async fn back_up(&self) -> String {
        let report = backup_job::create(&self.world.app, &occasion()).await.expect("a backup");
        report["backup"].as_str().expect("an id").to_owned()
    }

    /// The environment of a command that backs up or restores this world.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = settings(self.directory.path());
        variables.push(("DB_NAME", self.world.database.clone()));
        variables.push(("SITE_URL", self.world.base.clone()));
        variables.push(("JHE_HOME", self.path("home").display().to_string()));
        variables
    }

    /// Restores a backup by a process with these settings.
    pub async fn restore(&self, id: &str, into: &Empty, more: &[(&str, &str)]) -> Result<Value, JobError> {
        let (app, _) = self.world.process_with(more).await;
        backup_job::restore(&app, id, &into.0, &occasion()).await
    }
}

/// A database that is empty at first, and gone with the value.
pub struct Empty(pub DatabaseConfig);

impl Empty {
    /// A new one.
    pub async fn new(world: &World) -> Self {
        let config = DatabaseConfig { name: crate::fresh_name(), ..world.owner_config() };
        store::create_database(&world.owner_config(), &config.name).await.expect("a database");
        Self(config)
    }

    /// The first column of a statement's rows.
    pub async fn texts(&self, statement: &str) -> Vec<String> {
        let client = store::connect_owner(&self.0).await.expect("the owner");
        let rows = client.query(statement, &[]).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Whether nothing is in it.
    pub async fn is_empty(&self) -> bool {
        let all = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
                   UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
                   UNION ALL SELECT typname::text FROM pg_type WHERE typnamespace = 'public'::regnamespace";
        self.texts(all).await.is_empty()
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        crate::dropped(&self.0.name);
    }
}

/// What every table of a database holds.
pub async fn contents(database: &DatabaseConfig) -> BTreeMap<String, Contents> {
    let snapshot = Snapshot::open(database).await.expect("a snapshot");
    let mut all = BTreeMap::new();
    for table in snapshot.tables().await.expect("the tables") {
        let mut rows = pin!(snapshot.rows(&table).await.expect("rows"));
        let mut digest = Digest::default();
        while let Some(row) = rows.try_next().await.expect("a row") {
            digest.update(&row);
        }
        all.insert(table.name, digest.finish().expect("whole rows"));
    }
    all
}

/// The same, without the record of the restoration.
pub async fn contents_as_backed_up(database: &DatabaseConfig) -> BTreeMap<String, Contents> {
    let client = store::connect_owner(database).await.expect("the owner");
    let forget = "BEGIN; ALTER TABLE audit_event DISABLE TRIGGER USER;
        DELETE FROM audit_event WHERE resource_type = 'Backup' AND action = 'execute' AND request_id = 'backup-test';
        ALTER TABLE audit_event ENABLE TRIGGER USER; COMMIT";
    client.batch_execute(forget).await.expect("forgotten");
    contents(database).await
}

/// Every file below a directory, by its name.
#[must_use]
pub fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(directory) else { return found };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = fs::read(&path).expect("a file");
            found.insert(path, bytes);
        }
    }
    found
}
