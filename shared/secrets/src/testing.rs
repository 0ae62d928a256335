//! What the tests share.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// An environment made of these variables.
pub(crate) fn lookup<N: Into<String>>(
    variables: impl IntoIterator<Item = (N, String)>,
) -> impl Fn(&str) -> Option<String> {
    let variables: BTreeMap<String, String> = variables.into_iter().map(|(n, v)| (n.into(), v)).collect();
    move |name| variables.get(name).cloned()
}

/// A key of 32 equal bytes as text.
pub(crate) fn key_text(byte: u8) -> String {
    STANDARD.encode([byte; 32])
}

/// A path of its own for one test, removed afterwards. The directory itself is not made.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let unique = oauth::Secret::invitation().unwrap();
        Self(std::env::temp_dir().join(format!("secrets-{}", unique.expose())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into the directory and gives its name.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        fs::create_dir_all(&self.0).unwrap();
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
