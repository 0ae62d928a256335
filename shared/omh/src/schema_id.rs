//! The name of a schema: `namespace:name:version`.

use std::fmt;
use std::str::FromStr;

/// The longest part that a schema identifier may have, in bytes.
const LONGEST_PART: usize = 64;

/// The identifier of a body schema, as the header's `schema_id` spells it in three members and an
/// Observation's code in one text, for example `omh:blood-glucose:4.0`.
///
/// Each part is one to 64 ASCII letters, digits, `.`, `_` or `-`, so that it can be printed.
///
/// Source: IEEE 1752.1, schema `schema-id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SchemaId {
    namespace: Box<str>,
    name: Box<str>,
    version: Box<str>,
}

/// The text is not a schema identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a schema identifier has three parts of letters, digits, `.`, `_` and `-`: namespace:name:version")]
pub struct MalformedSchemaId;

impl SchemaId {
    /// Puts an identifier together from its parts.
    pub fn new(namespace: &str, name: &str, version: &str) -> Result<Self, MalformedSchemaId> {
        if [namespace, name, version].into_iter().all(is_part) {
            Ok(Self { namespace: namespace.into(), name: name.into(), version: version.into() })
        } else {
            Err(MalformedSchemaId)
        }
    }

    /// Who publishes the schema: `omh` or `ieee`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What is measured, for example `blood-glucose`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of the schema, for example `4.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

fn is_part(text: &str) -> bool {
    (1..=LONGEST_PART).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

impl FromStr for SchemaId {
    type Err = MalformedSchemaId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, rest) = text.split_once(':').ok_or(MalformedSchemaId)?;
        let (name, version) = rest.split_once(':').ok_or(MalformedSchemaId)?;
        Self::new(namespace, name, version)
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.namespace, self.name, self.version)
    }
}
