//! A host with its private PostgreSQL, as somebody has it who set nothing.

use crate::command::program;
use standalone::embedded::Embedded;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

/// Where such a host has its files, gone with the value.
pub struct Private {
    directory: tempfile::TempDir,
}

/// A host that serves. It is stopped with the value.
pub struct Host {
    child: Child,
    /// What it says: it would end where nobody heard it.
    _said: BufReader<ChildStdout>,
    /// Where it listens.
    pub base: String,
}

impl Private {
    /// Of nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    /// A file or directory of this host's.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The program with these variables and no other ones, but for where its files are.
    #[must_use]
    pub fn command(&self, words: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(program());
        command.env_clear().env("PATH", std::env::var_os("PATH").expect("a path")).env("JHE_HOME", self.path("home"));
        command.envs([("LOG_LEVEL", "off"), ("SIGNING_KEY_BITS", "2048")]);
        command.args(words).envs(variables.iter().copied());
        command
    }

    /// What comes of a command.
    #[must_use]
    pub fn run(&self, words: &[&str], variables: &[(&str, &str)]) -> Output {
        self.command(words, variables).output().expect("jhe is built before the tests")
    }

    /// Serves, on a port that nothing uses unless the variables say another.
    #[must_use]
    pub fn serve(&self, words: &[&str], variables: &[(&str, &str)]) -> Host {
        Self::ready(self.start(words, variables))
    }

    /// Starts to serve.
    #[must_use]
    pub fn start(&self, words: &[&str], variables: &[(&str, &str)]) -> Child {
        let variables = [&[("PORT", "0")], variables].concat();
        let mut command = self.command(&[&["serve"], words].concat(), &variables);
        command.stdout(Stdio::piped()).spawn().expect("jhe is built before the tests")
    }

    /// Waits until it serves.
    #[must_use]
    pub fn ready(child: Child) -> Host {
        Self::comes_up(child).expect("the host serves")
    }

    /// Waits until it serves, or ends: then there is none.
    #[must_use]
    pub fn comes_up(mut child: Child) -> Option<Host> {
        let mut said = BufReader::new(child.stdout.take().expect("its output"));
        loop {
            let mut line = String::new();
            if said.read_line(&mut line).expect("a line") == 0 {
                child.wait().expect("it ended");
                return None;
            }
            if let Some(base) = line.strip_prefix("ready: ") {
                return Some(Host { child, _said: said, base: base.trim().to_owned() });
            }
        }
    }

    /// The first column of a statement's rows, in a database of the server that runs.
    pub async fn texts(&self, database: &str, statement: &str) -> Vec<String> {
        let owner = Embedded::owner_of_running(&self.path("home"), database).expect("a server");
        let client = store::connect_owner(&owner).await.expect("the owner");
        let rows = client.query(statement, &[]).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The databases of the server that runs, but for its own.
    pub async fn databases(&self) -> Vec<String> {
        let all = "SELECT datname::text FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1";
        self.texts("postgres", all).await
    }
}

impl Default for Private {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Ok(elsewhere) = fs::canonicalize(self.path("home/postgres")) {
            let _ = fs::remove_dir_all(elsewhere);
        }
    }
}

impl Host {
    /// Asks it to end.
    pub fn ask_to_end(&self) {
        let status = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        assert!(status.expect("a shell").success(), "it runs");
    }

    /// Ends it, with its PostgreSQL.
    pub fn end(self) {
        self.ask_to_end();
        self.end_as_asked();
    }

    /// Waits for the end of one that was asked for it.
    pub fn end_as_asked(mut self) {
        assert!(self.child.wait().expect("it ended").success(), "it ended well");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
            let _ = self.child.wait();
        }
    }
}
