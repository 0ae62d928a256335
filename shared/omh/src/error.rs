//! Why a data point is refused.

use crate::SchemaId;

/// Why a data point is refused.
///
/// The texts name a JSON pointer into the data point and the rule that it breaks, and never the
/// value found there: it may be health data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The bytes are not one JSON document (RFC 8259), or are nested too deep.
    #[error("the data point is not JSON")]
    NotJson,
    /// No schema of this name is built in. Holds the code as far as it is well formed.
    #[error("no schema is known for {}", code_text(.0.as_ref()))]
    UnknownSchema(Option<SchemaId>),
    /// The header names another schema than the caller does.
    #[error("the header names the schema {found}, but {expected} is expected")]
    SchemaMismatch {
        /// The schema that the caller named.
        expected: SchemaId,
        /// The schema that the header names.
        found: SchemaId,
    },
    /// The header breaks its schema.
    #[error("{path}: {reason}")]
    Header {
        /// A JSON pointer (RFC 6901) from the data point's root.
        path: String,
        /// The rule that is broken.
        reason: String,
    },
    /// The body breaks the schema of its type.
    #[error("{path}: {reason}")]
    Body {
        /// A JSON pointer (RFC 6901) from the data point's root.
        path: String,
        /// The rule that is broken.
        reason: String,
    },
    /// The effective time frame has the right form and yet states no usable time.
    #[error("/body/effective_time_frame: {0}")]
    EffectiveTime(#[from] TimeError),
    /// A schema of this crate cannot be compiled. Refusing is all that is left to do.
    #[error("the built-in schema {0} cannot be used")]
    UnusableSchema(&'static str),
}

/// Why an effective time frame states no usable time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// A member that should be a date and time (RFC 3339 section 5.6) is not.
    #[error("{0} must be a date and time such as 2026-03-01T07:30:00Z")]
    NotADateTime(&'static str),
    /// The date does not exist.
    #[error("date must be a day of the calendar")]
    NotADate,
    /// The interval ends before it starts.
    #[error("the interval must not end before it starts")]
    EndBeforeStart,
    /// The named member is after the last instant there is.
    #[error("{0} must be before 9999-12-30")]
    TooLate(&'static str),
    /// The interval leaves the range of times, from the year -9999 to a little before the end of 9999-12-30.
    #[error("the interval must start and end between the year -9999 and 9999-12-30")]
    OutOfRange,
    /// The frame has none of the forms that state a time.
    #[error("the time frame must have one of the forms that its schema permits")]
    NoForm,
}

fn code_text(code: Option<&SchemaId>) -> String {
    code.map_or_else(|| "a code that is not namespace:name:version".to_owned(), ToString::to_string)
}
