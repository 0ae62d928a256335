//! The seals of the audit: making them, checking them, and proving an event by them.
//!
//! A seal is signed by a key that is not in the database, and kept in a [`vault`] that is not in the database either: who owns the
//! database can change what it says, and not what was sealed. Decisions 46 and 47 say why it is done in this way.

mod check;
mod error;
mod make;
mod prove;
mod report;
mod vault;

pub use check::{Extent, check};
pub use error::SealsError;
pub use make::{Made, make};
pub use prove::prove;
pub use report::{Finding, Report};

use archive::Archive;
use audit::{
    Hash,
    comparison::LeafList,
    seal::{Head, Seal},
};
use ecdsa::PublicKey;
use runtime::App;
use signer::Signer;

/// What the audit calls the seals.
pub const RESOURCE: &str = "AuditSeal";

/// The name of a seal in the vault. In the order of names seals are in the order of their numbers.
fn seal_name(sequence: i64) -> String {
    format!("{SEALS}/{sequence:012}.json")
}

/// Where seals are in the vault.
const SEALS: &str = "seals";

/// The name of the list of the events under a seal. It tells lists of different content apart: who tried first and was cut off does
/// not stand in the way.
fn list_name(sequence: i64, root: &Hash) -> String {
    format!("events/{sequence:012}-{root}")
}

/// A seal as the vault keeps it. None: there is none, or it is not readable.
async fn kept(vault: &Archive, sequence: i64) -> Result<Option<Seal>, SealsError> {
    let bytes = vault.get(&seal_name(sequence)).await?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// The list of the events under a seal. None: there is none that has the root of the seal.
async fn list(vault: &Archive, head: &Head) -> Result<Option<LeafList>, SealsError> {
    let bytes = vault.get(&list_name(head.sequence, &head.root)).await?;
    let list = bytes.and_then(|bytes| LeafList::parse(&bytes));
    Ok(list.filter(|list| {
        let tree = list.tree();
        (tree.size(), tree.root()) == (head.events, head.root)
    }))
}

/// The key that signs, if there is one. It signs nothing else that could be taken for a seal: decision 63.
pub async fn signer(app: &App) -> Result<Option<Signer>, SealsError> {
    vault::signer(app).await
}

/// The public half of the key that signs, if there is one.
pub async fn public_key(app: &App) -> Result<Option<PublicKey>, SealsError> {
    Ok(vault::signer(app).await?.map(|signer| signer.public))
}
