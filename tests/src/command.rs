//! The program `jhe`, as an operator has it beside a world.

use crate::World;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The program, built beside these tests.
#[must_use]
pub fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("the tests");
    tests.ancestors().nth(2).expect("the target directory").join("jhe")
}

/// The variables that lead to the vault that all worlds share.
#[must_use]
pub fn vault() -> [(&'static str, PathBuf); 2] {
    let secrets = crate::secrets();
    [("PAYLOAD_KEYS", secrets.join("payload_keys")), ("PAYLOAD_KEY_FILE", secrets.join("payload_key"))]
}

impl World {
    /// A command of the host on this world's database, with the vault of the world. Its files are in `home`.
    pub fn command(&self, home: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(words).env("DB_NAME", &self.database).env("SITE_URL", &self.base).env("JHE_HOME", home);
        command.envs(vault());
        let own = self.settings.iter().filter(|(name, _)| name == "EXPORTS" || name.starts_with("PAYLOAD_"));
        command.envs(own.map(|(name, value)| (name, value)));
        command
    }

    /// What comes of a command that leaves no files.
    pub fn run(&self, words: &[&str]) -> Output {
        let home = tempfile::tempdir().expect("a directory");
        self.command(home.path(), words).output().expect("jhe is built before the tests")
    }
}
