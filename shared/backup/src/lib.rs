//! The format of a backup: what is in it, how it is encrypted and signed, and how long it is kept.
//!
//! A backup is a directory of objects: the chunks of each table, and one signed [`Manifest`] that is written last. Without it
//! nothing of a backup counts. A chunk is a piece of what `COPY ... TO STDOUT` says of a table, compressed and then encrypted
//! with the backup's own data key; the data key is in the manifest, wrapped for those who may read it.
//!
//! Nothing here asks a database, a network, a clock or a file.

pub mod age;
mod bech32;
mod chunk;
mod contents;
mod keep;
mod manifest;

pub use chunk::{CHUNK, DataKey, Position, Prefix};
pub use contents::{Contents, Digest};
pub use keep::{Kept, Policy, kept};
pub use manifest::{
    FORMAT, Manifest, Migration, Sequence, SignedManifest, Table, WrappedKey, chunk_name, is_id, manifest_name, message,
};

/// Why a backup, or a part of it, cannot be made or is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// No random numbers, or no cryptography.
    #[error("no cryptography")]
    Cryptography,
    /// A key is not one.
    #[error("{0} is not usable")]
    Key(&'static str),
    /// The data key is wrapped for others.
    #[error("the data key of the backup is wrapped for others: this key does not open it")]
    WrongKey,
    /// The manifest is no manifest.
    #[error("the manifest is not readable")]
    Manifest,
    /// The manifest is of another format.
    #[error("the backup has format {0}, which this version does not read")]
    Format(u32),
    /// Another key signed it, or none.
    #[error("the manifest was signed by another key ({0}) than the one that is trusted")]
    Signer(String),
    /// The signature is not of this manifest.
    #[error("the manifest is not what was signed")]
    Signature,
    /// A chunk is not what was written at its place.
    #[error("chunk {index} of {table} is not what was backed up")]
    Chunk {
        /// The table.
        table: String,
        /// The number of the chunk, from 0.
        index: u32,
    },
    /// A table has more than can be numbered.
    #[error("{0} is too large")]
    TooLarge(String),
}
