//! Open mHealth and IEEE 1752.1 data points: the schemas, validation against them, and the time
//! a point speaks of.
//!
//! A data point is a JSON object of two members, `header` and `body`. [`parse`] reads one, checks
//! both against the schema its caller names, and returns what the rest of the system needs to
//! know of it. This crate reads no clock and reaches no network: every `$ref` of every schema
//! resolves among the documents built into it.
//!
//! `format` is an annotation here and not a rule, as JSON Schema draft 7 allows (section 7.2) and
//! as the published validators of these schemas have it. Two formats matter all the same, since
//! they carry the times that [`DataPoint`] returns: the header's creation time and the effective
//! time frame are refused when they cannot be read as a time.
//!
//! Sources: IEEE 1752.1-2021 (<https://w3id.org/ieee/ieee-1752-schema/>) and Open mHealth
//! (<https://www.openmhealth.org/documentation/>).

mod columns;
mod duration;
mod effective;
mod error;
mod instant;
mod point;
mod schema;
mod schema_id;
#[cfg(test)]
mod tests;

pub use columns::{Column, ColumnKind, columns};
pub use effective::EffectiveTime;
pub use error::{Invalid, TimeError};
pub use point::{DataPoint, parse};
pub use schema::{is_known, known_codes};
pub use schema_id::{MalformedSchemaId, SchemaId};
