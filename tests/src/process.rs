//! The server as a program, for what only its output shows.

use crate::World;
use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

/// A server of a world's database in a process of its own.
pub struct Process {
    child: Child,
    home: tempfile::TempDir,
    printed: JoinHandle<Vec<String>>,
}

impl Process {
    /// Starts it with these settings, and lets the world's requests go to it.
    pub fn serve(world: &mut World, settings: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let log = File::create(home.path().join("log")).expect("a file");
        let mut command = Command::new(program());
        command.arg("serve").envs([("JHE_HOME", home.path().to_str().expect("a path")), ("DB_NAME", &world.database)]);
        command.envs([("PORT", "0"), ("RUST_BACKTRACE", "1")]).envs(settings.iter().copied());
        // What goes through a pooler instead of straight to PostgreSQL.
        command
            .envs(std::env::vars().filter_map(|(name, value)| Some((name.strip_prefix("POOLER_")?.to_owned(), value))));
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut printed = Vec::new();
        world.base = loop {
            let line = lines.next().expect("the server is ready").expect("a line");
            match line.strip_prefix("ready: ") {
                Some(base) => break base.to_owned(),
                None => printed.push(line),
            }
        };
        let printed = std::thread::spawn(move || printed.into_iter().chain(lines.map_while(Result::ok)).collect());
        Self { child, home, printed }
    }

    /// Ends it: what it logged, and the lines that it printed, but for the one that says it is ready.
    pub fn end(mut self) -> (String, Vec<String>) {
        self.child.kill().expect("it is stopped");
        self.child.wait().expect("it has stopped");
        let log = std::fs::read_to_string(self.home.path().join("log")).expect("the log");
        (log, self.printed.join().expect("its output was read"))
    }

    /// The token in the one mail that it sent, which is a file of its home.
    pub fn mailed_token(&self) -> String {
        let mut files = std::fs::read_dir(self.home.path().join("mail")).expect("the mail");
        let file = files.next().expect("a mail").expect("a file").path();
        let mail = std::fs::read_to_string(file).expect("a mail").replace("=\r\n", "");
        let (_, rest) = mail.split_once("https://carex.ai/invitation/").expect("a link");
        rest.split_once('_').expect("a token").1.chars().take_while(char::is_ascii_alphanumeric).collect()
    }
}

/// The server, built beside these tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("the tests");
    tests.parent().and_then(|deps| deps.parent()).expect("the target directory").join("jhe")
}
