//! A host of a world in a process of its own, with all that it says.

use crate::{
    World,
    command::{program, vault},
};
use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

/// A server of a world's database in a process of its own.
pub struct Process {
    child: Child,
    home: tempfile::TempDir,
    rest: JoinHandle<String>,
}

/// All that a process said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Where the log goes.
    pub stderr: String,
    /// Where the start is told, and metrics are where they are asked for.
    pub stdout: String,
}

impl Said {
    /// The lines that it printed, but for the one that says it is ready.
    pub fn printed(&self) -> Vec<&str> {
        self.stdout.lines().filter(|line| !line.starts_with("ready: ")).collect()
    }
}

impl Process {
    /// Starts it at its most talkative, and lets the world's requests go to it.
    pub fn serve(world: &mut World, settings: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let log = File::create(home.path().join("log")).expect("a file");
        let mut command = Command::new(program());
        command.arg("serve").envs([("JHE_HOME", home.path().to_str().expect("a path")), ("DB_NAME", &world.database)]);
        // What the world's payloads were encrypted with, unless the settings say otherwise.
        command.envs(vault());
        command.envs([("PORT", "0"), ("LOG_LEVEL", "trace"), ("RUST_LOG", "trace"), ("RUST_BACKTRACE", "1")]);
        // What goes through a pooler instead of straight to PostgreSQL.
        command
            .envs(std::env::vars().filter_map(|(name, value)| Some((name.strip_prefix("POOLER_")?.to_owned(), value))));
        command.envs(settings.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the server starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut said = String::new();
        world.base = loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).expect("a line") > 0, "the server is ready: {said}");
            said.push_str(&line);
            if let Some(base) = line.strip_prefix("ready: ") {
                break base.trim().to_owned();
            }
        };
        let rest = std::thread::spawn(move || {
            output.read_to_string(&mut said).expect("its output");
            said
        });
        Self { child, home, rest }
    }

    /// Where it has its files.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Ends it: what it said.
    pub fn ended(mut self) -> Said {
        self.child.kill().expect("it is stopped");
        self.child.wait().expect("it has stopped");
        let stdout = self.rest.join().expect("its output");
        Said { stderr: fs::read_to_string(self.home.path().join("log")).expect("the log"), stdout }
    }
}
