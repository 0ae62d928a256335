//! A vault of a world's own, which a test can lose, break and destroy keys in.

use crate::World;
use payload::KeyId;
use payload_keys::{Tombstone, Vault};
use std::{path::PathBuf, sync::Arc};

/// Where a vault is: a copy of the one that all worlds share.
pub struct OwnVault {
    /// The directory with a file for each key.
    pub keys: PathBuf,
    _directory: tempfile::TempDir,
}

impl OwnVault {
    /// A copy.
    pub async fn new() -> Self {
        World::new().await;
        let directory = tempfile::tempdir().expect("a directory");
        let keys = directory.path().join("keys");
        World::copy_vault(&keys);
        Self { keys, _directory: directory }
    }

    /// The setting that leads there.
    #[must_use]
    pub fn place(&self) -> String {
        self.keys.display().to_string()
    }

    /// A world with a vault of its own. What is known of a key is used for so many seconds.
    pub async fn world(seconds: &str) -> (World, Self) {
        let own = Self::new().await;
        let world = World::with(&[("PAYLOAD_KEYS", &own.place()), ("PAYLOAD_KEY_CACHE_SECONDS", seconds)]).await;
        (world, own)
    }
}

impl World {
    /// The vault of the world.
    #[must_use]
    pub fn vault(&self) -> &Arc<Vault> {
        self.app.vault().expect("a vault")
    }

    /// The id of a patient's key.
    pub async fn payload_key(&self, patient: i32) -> KeyId {
        let rows = self.sql(&format!("SELECT uuid_send(payload_key) FROM patient WHERE id = {patient}")).await;
        KeyId::from_bytes(rows[0].get(0)).expect("a key's id")
    }

    /// Destroys the key of a patient.
    pub async fn destroy_key(&self, patient: i32) {
        let tombstone = Tombstone { patient, at: self.app.now(), why: "own_request".to_owned(), by: None };
        assert!(self.vault().destroy(self.payload_key(patient).await, &tombstone).await.expect("destroyed"));
    }

    /// How many rows of all tables have a word in them, as text or as bytes.
    pub async fn rows_with(&self, word: &str) -> i64 {
        let tables = "SELECT c.oid::regclass::text FROM pg_class c
                       WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace";
        let mut found = 0;
        for table in self.sql(tables).await {
            let table: String = table.get(0);
            let counts = format!(
                "SELECT count(*) FROM {table} t
                  WHERE strpos(t::text, '{word}') > 0 OR strpos(t::text, encode(convert_to('{word}', 'UTF8'), 'hex')) > 0"
            );
            found += self.count(&counts).await;
        }
        found
    }
}
