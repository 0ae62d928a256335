//! `Observation` (<https://hl7.org/fhir/R5/observation.html>): what is accepted, what is stored, and
//! how a stored one is written.
//!
//! What is stored is the JSON text of the resource without `resourceType`, `id` and `meta`
//! ([`Submission::content`]). Writing it is joining texts ([`write_resource`]); it is not parsed again.

mod attachment;
mod content;
mod elements;
mod parse;
mod parts;
mod source;
mod status;

use jiff::Timestamp;

pub use attachment::{Attachment, MAX_ATTACHMENT};
pub use content::{Place, write_resource, write_summary};
pub use elements::Elements;
pub(crate) use elements::keep_known;
pub use parse::is_of_data_points;
pub use parts::{CodeableConcept, Coded, Coding, Identifier, IdentifierUse};
pub use source::{Brought, named_source};
pub use status::ObservationStatus;

/// When the observed fact was true: `effectiveDateTime` or `effectivePeriod`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effective {
    /// A point in time.
    Instant(Timestamp),
    /// From `start` to `end`.
    Period {
        /// The beginning.
        start: Timestamp,
        /// The end, not before the beginning.
        end: Timestamp,
    },
}

/// How an Observation says what was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// By a data point of Open mHealth or IEEE 1752.1 in `valueAttachment`, with `effectiveDateTime` or `effectivePeriod` when
    /// the client sent one. The data point has the last word: compare with [`Submission::agrees_with`].
    DataPoint(Attachment, Option<Effective>),
    /// By FHIR's own elements, which are kept as they were sent.
    Elements(Elements),
}

/// An Observation as a client sent it, every kept element checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// `status`.
    pub status: ObservationStatus,
    /// `identifier`, each system and value once.
    pub identifiers: Vec<Identifier>,
    /// The coding by which it is consented to and found.
    pub code: Coded,
    /// The patient of `subject.reference`.
    pub subject: i32,
    /// The data source of `device.reference`.
    pub device: i32,
    /// The result.
    pub said: Said,
    issued: Option<String>,
    category: Vec<CodeableConcept>,
    concept: CodeableConcept,
    subject_reference: parts::Referred,
    device_reference: parts::Referred,
}
