//! What a world has mailed: the files of its own directory.

use crate::World;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where a world's mail is written.
pub(crate) fn directory(database: &str) -> PathBuf {
    let scratch =
        std::env::var("JHE_SCRATCH").expect("run the tests by `make test`, or by `jhe with-database cargo test`");
    Path::new(&scratch).join("mail-of-tests").join(database)
}

/// A mail as sent.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// The text. Lines end with `\n`, and what the transfer encoding broke is whole again.
    pub text: String,
}

impl Mail {
    /// The token of the invitation to the first app: what follows the host in the link.
    #[must_use]
    pub fn invitation_token(&self) -> String {
        let link = self.text.lines().find(|line| line.starts_with("https://carex.ai/invitation/")).expect("a link");
        link.rsplit('_').next().expect("a token").to_owned()
    }
}

impl World {
    /// All mails of this world, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        let Ok(entries) = fs::read_dir(directory(&self.database)) else { return Vec::new() };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files.iter().map(|file| parsed(&fs::read_to_string(file).expect("a mail"))).collect()
    }
}

fn parsed(mail: &str) -> Mail {
    let (headers, body) = mail.split_once("\r\n\r\n").expect("headers and a body");
    let header = |name: &str| {
        let prefix = format!("{name}: ");
        let mut found = headers.lines().filter_map(|line| line.strip_prefix(&prefix));
        let value = found.next().unwrap_or_default().to_owned();
        assert_eq!(found.next(), None, "{name} is there once: {headers}");
        value
    };
    let text = match header("Content-Transfer-Encoding").as_str() {
        "7bit" => body.replace("\r\n", "\n"),
        "quoted-printable" => unquoted(body),
        other => panic!("{other}"),
    };
    Mail { to: header("To"), subject: header("Subject"), text }
}

/// Quoted-printable (RFC 2045 6.7).
fn unquoted(body: &str) -> String {
    let mut bytes = Vec::new();
    let mut parts = body.split('=');
    bytes.extend(parts.next().unwrap_or_default().replace("\r\n", "\n").bytes());
    for part in parts {
        // A soft line break is nothing, an escape is a byte.
        let rest = part.strip_prefix("\r\n").unwrap_or_else(|| {
            let (code, rest) = part.split_at(2);
            bytes.push(u8::from_str_radix(code, 16).expect("an escape"));
            rest
        });
        bytes.extend(rest.replace("\r\n", "\n").bytes());
    }
    String::from_utf8(bytes).expect("a text")
}
