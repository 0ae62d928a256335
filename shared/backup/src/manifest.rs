//! The manifest: what a backup holds, and who may read it.

use crate::{Contents, FormatError, Prefix};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ecdsa::PublicKey;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// The format that this version writes and reads.
pub const FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Its id, which is also the name of its directory.
    pub id: String,
    /// The site that it is of.
    pub site: String,
    /// The time of its snapshot: nothing that was committed later is in it.
    pub created_at: Timestamp,
    /// Where the server's log of changes was at about that time.
    pub lsn: String,
    /// The version of the server, as a number.
    pub server_version: i32,
    /// The migrations that the database had, in order.
    pub migrations: Vec<Migration>,
    /// The tables.
    pub tables: Vec<Table>,
    /// The sequences.
    pub sequences: Vec<Sequence>,
    /// The data key.
    pub key: WrappedKey,
}

/// A migration that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migration {
    /// Its number.
    pub version: i32,
    /// Its name.
    pub name: String,
    /// Tells it from another one with the same number.
    pub checksum: String,
}

/// A table, and its chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in the order of the text.
    pub columns: Vec<String>,
    /// What it holds.
    pub contents: Contents,
    /// How many chunks it has: one or more.
    pub chunks: u32,
    /// What the nonces of the chunks begin with.
    pub prefix: Prefix,
}

/// A sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// Its name.
    pub name: String,
    /// The last number that it gave; none if it gave none.
    pub last: Option<i64>,
}

/// The data key, as only those read it who may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WrappedKey {
    /// By a key of AWS KMS, with the id of the backup as the encryption context.
    Kms {
        /// The ARN of that key.
        key: String,
        /// The data key, in base64.
        wrapped: String,
    },
    /// For recipients of age.
    Age {
        /// Who they are.
        recipients: Vec<String>,
        /// A file of age with the data key in it, in base64.
        wrapped: String,
    },
}

impl Manifest {
    /// The number of the last migration.
    #[must_use]
    pub fn schema_version(&self) -> i32 {
        self.migrations.last().map_or(0, |migration| migration.version)
    }

    /// How many bytes the text of all tables has.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.contents.bytes).sum()
    }

    /// How many rows all tables have.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.contents.rows).sum()
    }

    /// The text that is signed and kept.
    pub fn to_text(&self) -> Result<String, FormatError> {
        serde_json::to_string_pretty(self).map_err(|_| FormatError::Manifest)
    }
}

/// A manifest as it is kept: the text that was signed, and the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedManifest {
    manifest: String,
    key_id: String,
    signature: String,
}

impl SignedManifest {
    /// A text with its signature.
    #[must_use]
    pub fn new(manifest: String, key: &PublicKey, signature: &[u8]) -> Self {
        Self { manifest, key_id: hex(&key.id()), signature: STANDARD.encode(signature) }
    }

    /// The file.
    pub fn to_bytes(&self) -> Result<Vec<u8>, FormatError> {
        serde_json::to_vec(self).map_err(|_| FormatError::Manifest)
    }

    /// The manifest in a file that is kept under this id, once it is known that the owner of the key signed it.
    pub fn verified(file: &[u8], id: &str, key: &PublicKey) -> Result<Manifest, FormatError> {
        let signed: Self = serde_json::from_slice(file).map_err(|_| FormatError::Manifest)?;
        if signed.key_id != hex(&key.id()) {
            return Err(FormatError::Signer(signed.key_id.chars().filter(char::is_ascii_hexdigit).take(16).collect()));
        }
        let signature = STANDARD.decode(&signed.signature).map_err(|_| FormatError::Signature)?;
        if !key.verifies(&message(&signed.manifest), &signature) {
            return Err(FormatError::Signature);
        }
        read(&signed.manifest, id)
    }
}

/// What is signed for a manifest. The same key may sign other things, and none of them begins like this.
#[must_use]
pub fn message(manifest: &str) -> Vec<u8> {
    format!("jhe backup manifest 1\n{}\n", hex(digest(&SHA256, manifest.as_bytes()).as_ref())).into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The format is read before the rest, which may be another one.
fn read(text: &str, id: &str) -> Result<Manifest, FormatError> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let Head { format } = serde_json::from_str(text).map_err(|_| FormatError::Manifest)?;
    if format != FORMAT {
        return Err(FormatError::Format(format));
    }
    let manifest: Manifest = serde_json::from_str(text).map_err(|_| FormatError::Manifest)?;
    // One that was put under another name is not the one that was asked for.
    if manifest.id == id { Ok(manifest) } else { Err(FormatError::Manifest) }
}

/// Whether this can be the id of a backup: the time of it, and something random.
#[must_use]
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Where the manifest is kept.
#[must_use]
pub fn manifest_name(id: &str) -> String {
    format!("{id}/manifest.json")
}

/// Where a chunk is kept.
#[must_use]
pub fn chunk_name(id: &str, table: &str, index: u32) -> String {
    format!("{id}/{table}/{index:06}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecdsa::PrivateKey;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            id: "one".to_owned(),
            site: "https://jhe.example".to_owned(),
            created_at: Timestamp::UNIX_EPOCH,
            lsn: "0/0".to_owned(),
            server_version: 150_000,
            migrations: vec![Migration { version: 7, name: "x".to_owned(), checksum: "1".to_owned() }],
            tables: vec![Table {
                name: "patient".to_owned(),
                columns: vec!["id".to_owned()],
                contents: Contents { rows: 1, bytes: 2, sum: "0".to_owned() },
                chunks: 1,
                prefix: Prefix::generate().unwrap(),
            }],
            sequences: vec![Sequence { name: "patient_id_seq".to_owned(), last: None }],
            key: WrappedKey::Age { recipients: vec!["age1".to_owned()], wrapped: "AA==".to_owned() },
        }
    }

    fn key() -> PrivateKey {
        PrivateKey::from_pem(&PrivateKey::generate().unwrap()).unwrap()
    }

    fn signed(manifest: &Manifest, key: &PrivateKey) -> Vec<u8> {
        let text = manifest.to_text().unwrap();
        let signature = key.sign(&message(&text)).unwrap();
        SignedManifest::new(text, key.public(), &signature).to_bytes().unwrap()
    }

    #[test]
    fn only_what_the_trusted_key_signed_under_this_name_is_believed() {
        let (key, manifest) = (key(), manifest());
        let public = key.public().clone();
        let file = signed(&manifest, &key);
        assert_eq!(SignedManifest::verified(&file, "one", &public), Ok(manifest.clone()));
        assert_eq!(SignedManifest::verified(&file, "two", &public), Err(FormatError::Manifest));
        let changed = String::from_utf8(file.clone()).unwrap().replace("patient", "Patient");
        assert_eq!(SignedManifest::verified(changed.as_bytes(), "one", &public), Err(FormatError::Signature));
        let stranger = super::tests::key().public().clone();
        assert!(matches!(SignedManifest::verified(&file, "one", &stranger), Err(FormatError::Signer(_))));
        for file in [&file[..file.len() - 1], b"", b"{}"] {
            assert_eq!(SignedManifest::verified(file, "one", &public), Err(FormatError::Manifest));
        }
        let newer = Manifest { format: 2, ..manifest };
        assert_eq!(SignedManifest::verified(&signed(&newer, &key), "one", &public), Err(FormatError::Format(2)));
    }

    #[test]
    fn an_id_is_no_path() {
        assert!(is_id("20260301T120000Z-00ff"));
        for wrong in ["", "..", "a/b", "a b", &"a".repeat(65)] {
            assert!(!is_id(wrong), "{wrong}");
        }
    }
}
