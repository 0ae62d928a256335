//! The primitive types, as values of JSON (<https://hl7.org/fhir/R5/datatypes.html#primitive>).

use serde_json::Value;

use crate::datetime::{Precision, is_date_time, parse};
use crate::shape::is_time;

/// The longest number, in characters.
const MAX_NUMBER: usize = 64;

/// A primitive type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Primitive {
    Base64Binary,
    Boolean,
    Code,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Integer64,
    Oid,
    PositiveInt,
    /// `string` and `markdown`.
    String,
    Time,
    UnsignedInt,
    /// `uri`, `url` and `canonical`.
    Uri,
    Uuid,
    Xhtml,
}

impl Primitive {
    /// The type with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "base64Binary" => Self::Base64Binary,
            "boolean" => Self::Boolean,
            "code" => Self::Code,
            "date" => Self::Date,
            "dateTime" => Self::DateTime,
            "decimal" => Self::Decimal,
            "id" => Self::Id,
            "instant" => Self::Instant,
            "integer" => Self::Integer,
            "integer64" => Self::Integer64,
            "oid" => Self::Oid,
            "positiveInt" => Self::PositiveInt,
            "string" | "markdown" => Self::String,
            "time" => Self::Time,
            "unsignedInt" => Self::UnsignedInt,
            "uri" | "url" | "canonical" => Self::Uri,
            "uuid" => Self::Uuid,
            "xhtml" => Self::Xhtml,
            _ => return None,
        })
    }

    /// What is wrong with the kind of a JSON value, if anything. An `integer64` is text in R5; a number is taken too.
    pub(super) fn misfit(self, value: &Value) -> Option<&'static str> {
        match self {
            Self::Boolean => (!value.is_boolean()).then_some("must be true or false"),
            Self::Decimal | Self::Integer | Self::PositiveInt | Self::UnsignedInt => {
                (!value.is_number()).then_some("must be a JSON number")
            }
            Self::Integer64 => (!value.is_string() && !value.is_number()).then_some("must be a JSON string or number"),
            _ => (!value.is_string()).then_some("must be a JSON string"),
        }
    }

    /// What is wrong with a value of the right kind, if anything.
    pub(super) fn fault(self, value: &Value) -> Option<&'static str> {
        let text = value.as_str().unwrap_or_default();
        let within = |least: i64| value.as_i64().is_some_and(|number| number >= least && i32::try_from(number).is_ok());
        let (fits, problem) = match self {
            Self::Boolean => (true, ""),
            Self::Base64Binary => (is_base64(text), "must be standard base64 with padding"),
            Self::Code => (is_code(text), "must not be empty, nor have whitespace but single spaces inside"),
            Self::Date => (is_date(text), "must be a FHIR date"),
            Self::DateTime => (is_date_time(text), "must be a FHIR dateTime"),
            Self::Decimal => (is_decimal(value), "is a number out of range"),
            Self::Id => (is_id(text), "must be 1 to 64 letters, digits, hyphens and dots"),
            Self::Instant => (is_instant(text), "must be a FHIR instant, with seconds and a time zone"),
            Self::Integer => (within(i64::from(i32::MIN)), "must be a whole number of 32 bits"),
            Self::Integer64 => (is_integer64(value), "must be a whole number of 64 bits"),
            Self::Oid => (is_oid(text), "must be an OID such as urn:oid:1.2.3"),
            Self::PositiveInt => (within(1), "must be a whole number of 32 bits from 1"),
            Self::String => (!text.trim().is_empty() && !has_controls(text), "must be text without control characters"),
            Self::Time => (is_time(text), "must be a FHIR time such as 08:00:00"),
            Self::UnsignedInt => (within(0), "must be a whole number of 32 bits from 0"),
            Self::Uri => {
                (!text.is_empty() && !text.contains(char::is_whitespace), "must not be empty nor have whitespace")
            }
            Self::Uuid => (is_uuid(text), "must be a UUID such as urn:uuid:94b6b4a8-d8a9-40e6-bb53-6bc4c441dc47"),
            Self::Xhtml => (text.trim_start().starts_with("<div"), "must be a div of XHTML"),
        };
        (!fits).then_some(problem)
    }
}

/// FHIR allows tabs and ends of lines.
fn has_controls(text: &str) -> bool {
    text.chars().any(|c| c < ' ' && !['\t', '\r', '\n'].contains(&c))
}

fn is_code(text: &str) -> bool {
    !has_controls(text) && text.split(' ').all(|word| !word.is_empty() && !word.contains(char::is_whitespace))
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

fn is_date(text: &str) -> bool {
    parse(text).is_some_and(|moment| moment.precision <= Precision::Day)
}

fn is_instant(text: &str) -> bool {
    parse(text).is_some_and(|moment| moment.precision == Precision::Second && moment.zoned)
}

fn is_decimal(value: &Value) -> bool {
    value.to_string().len() <= MAX_NUMBER && value.as_f64().is_some_and(f64::is_finite)
}

fn is_integer64(value: &Value) -> bool {
    value.as_str().map_or(value.as_i64(), |text| text.parse().ok()).is_some()
}

fn is_oid(text: &str) -> bool {
    let Some((root, arcs)) = text.strip_prefix("urn:oid:").and_then(|rest| rest.split_once('.')) else { return false };
    let is_arc = |arc: &str| {
        !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'))
    };
    ["0", "1", "2"].contains(&root) && arcs.split('.').all(is_arc)
}

fn is_uuid(text: &str) -> bool {
    text.strip_prefix("urn:uuid:").is_some_and(crate::search::is_uuid)
}

/// Line breaks are taken, as readers should.
fn is_base64(text: &str) -> bool {
    let (mut length, mut padding) = (0_usize, 0_usize);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let is_digit = byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
        if byte == b'=' {
            padding += 1;
        } else if !is_digit || padding > 0 {
            return false;
        }
        length += 1;
    }
    length > 0 && length.is_multiple_of(4) && padding <= 2
}
