//! A world whose audit is sealed, and what its owner can do to it.

use crate::World;
use runtime::{App, Failure, Occasion};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, process::Command};

/// A world with a place of its own for its seals.
pub struct Sealed {
    /// The world.
    pub world: World,
    place: tempfile::TempDir,
}

/// What a sealing reported, or why it failed.
pub type Report = Result<Value, Failure>;

/// Seals all that was recorded in a world until now. As if the data had come here from another server at this moment, and its clock
/// were ahead: nothing that runs beside the test holds it back, nor does the margin.
pub async fn seal_all(world: &World) -> Report {
    world
        .sql("INSERT INTO audit_horizon (at, xid) VALUES (clock_timestamp() + interval '10 seconds', '9000000000000')")
        .await;
    seal(&world.app).await
}

/// A statement of the owner of a world's database, past every trigger.
pub async fn tamper(world: &World, statement: &str) {
    let owner = world.as_owner().await;
    let statement = format!("SET session_replication_role = replica; {statement}");
    owner.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
}

impl Sealed {
    /// A world of which nothing is sealed yet.
    pub async fn new() -> Self {
        Self::set(&[]).await
    }

    /// The same with these settings.
    pub async fn set(more: &[(&str, &str)]) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let directory = place.path().join("vault").display().to_string();
        let key = place.path().join("keys/audit_seal.key").display().to_string();
        let settings = [("AUDIT_SEAL_DIRECTORY", directory.as_str()), ("AUDIT_SEAL_KEY_FILE", key.as_str())];
        Self { world: World::with(&[&settings, more].concat()).await, place }
    }

    /// A world with so many seals. Under each are at least two events.
    pub async fn with(seals: usize) -> Self {
        let sealed = Self::new().await;
        for number in 1..=seals {
            sealed.happen().await;
            sealed.happen().await;
            let report = sealed.seal().await.expect("sealed");
            assert_eq!((&report["seals"], &report["last"]["sequence"]), (&json!(1), &json!(number)), "{report}");
        }
        sealed
    }

    /// A command of the host on this world's database, with the place of its seals.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.world.command(self.place.path(), words);
        let place = |path: &str| self.place.path().join(path);
        command.env("AUDIT_SEAL_DIRECTORY", place("vault")).env("AUDIT_SEAL_KEY_FILE", place("keys/audit_seal.key"));
        command
    }

    /// Something is recorded.
    pub async fn happen(&self) {
        let (status, answer) = self.world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Seals all that was recorded until now.
    pub async fn seal(&self) -> Report {
        seal_all(&self.world).await
    }

    /// What a check finds, in lines; none when all is as it was sealed.
    pub async fn findings(&self) -> Vec<String> {
        findings(self.check(json!({})).await)
    }

    /// A check with this input.
    pub async fn check(&self, input: Value) -> Report {
        audit_verify::FUNCTION.run(&self.world.app, &Occasion::new("scheduled", input)).await
    }

    /// A statement of the owner of the database, past every trigger.
    pub async fn tamper(&self, statement: &str) {
        tamper(&self.world, statement).await;
    }

    /// The number of an event under a seal, by its place.
    pub async fn event(&self, seal: i64, place: usize) -> i64 {
        let statement = format!(
            "SELECT e.id FROM audit_event e JOIN audit_seal s ON s.sequence = {seal} AND e.occurred_at >= s.window_start
               AND e.occurred_at < s.window_end ORDER BY e.occurred_at, e.id LIMIT 1 OFFSET {place}"
        );
        self.world.count(&statement).await
    }

    /// The file of a seal.
    pub fn seal_file(&self, number: i64) -> PathBuf {
        self.place.path().join(format!("vault/seals/{number:012}.json"))
    }

    /// The file of the list of a seal's events.
    pub fn list_file(&self, number: i64) -> PathBuf {
        let directory = self.place.path().join("vault/events");
        let mut files = fs::read_dir(directory).expect("lists").map(|entry| entry.expect("an entry").path());
        let name = format!("{number:012}-");
        files
            .find(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&name)))
            .expect("a list")
    }

    /// The file of the key.
    pub fn key_file(&self) -> PathBuf {
        self.place.path().join("keys/audit_seal.key")
    }
}

/// A call of the function that seals.
pub async fn seal(app: &App) -> Report {
    audit_seal::FUNCTION.run(app, &Occasion::new("scheduled", json!({}))).await
}

/// The lines of a failed check.
pub fn findings(report: Report) -> Vec<String> {
    match report {
        Ok(_) => Vec::new(),
        Err(Failure::Invalid(text)) => {
            text.lines().filter_map(|line| line.strip_prefix("- ")).map(str::to_owned).collect()
        }
        Err(failure) => panic!("the check was not made: {failure:?}"),
    }
}
