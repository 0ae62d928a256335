//! Mail as files: what a developer and the tests read.

use crate::{MailError, Message};
use jiff::Timestamp;
use std::{
    fs::{DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, MailError> {
        let path = lookup("MAIL_DIRECTORY").ok_or(MailError::Setting("MAIL_DIRECTORY", "set it to a directory"))?;
        Ok(Self(PathBuf::from(path)))
    }

    /// Writes a message into a file of its own that only this account can read, and says in the log where it is. The name
    /// sorts by time.
    pub(crate) fn write(&self, now: Timestamp, message: &Message, mail: &lettre::Message) -> Result<(), MailError> {
        let unique =
            oauth::token::random_bytes::<4>().map_err(|error| MailError::Directory(io::Error::other(error)))?;
        let name = format!("{}-{:08x}.eml", now.strftime("%Y%m%dT%H%M%S%.6fZ"), u32::from_be_bytes(unique));
        let path = self.0.join(name);
        write_private(&self.0, &path, &mail.formatted()).map_err(MailError::Directory)?;
        tracing::info!(path = %path.display(), subject = message.subject(), "mail written");
        Ok(())
    }
}

fn write_private(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    #[test]
    fn each_message_is_a_private_file_and_they_sort_by_time() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("mail");
        let directory = Directory(path.clone());
        let from = "a@example.com".parse().unwrap();
        for (second, subject) in [(0, "first"), (1, "second"), (1, "second")] {
            let message = Message::new("b@example.com", subject, "text\n").unwrap();
            let now = Timestamp::new(1_700_000_000 + second, 5).unwrap();
            directory.write(now, &message, &message.internet_message(&from).unwrap()).unwrap();
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let mut files: Vec<PathBuf> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let subjects: Vec<bool> =
            files.iter().map(|file| fs::read_to_string(file).unwrap().contains("Subject: first\r\n")).collect();
        assert_eq!(subjects, [true, false, false]);
        for file in files {
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
