//! Reading a data point.

use jiff::Timestamp;
use serde_json::Value;

use crate::effective::EffectiveTime;
use crate::error::Invalid;
use crate::instant::{Misread, Stated};
use crate::schema::{self, Breach, HEADER, Schema};
use crate::schema_id::SchemaId;

/// What a valid data point says of itself.
///
/// Source: IEEE 1752.1, schemas `data-point` and `header`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataPoint {
    schema_id: SchemaId,
    effective: Option<EffectiveTime>,
    created: Timestamp,
}

impl DataPoint {
    /// The schema of the body.
    #[must_use]
    pub fn schema_id(&self) -> &SchemaId {
        &self.schema_id
    }

    /// When the measurement holds. `None` only for the types whose schema makes the time frame
    /// optional: `omh:physical-activity:1.2` and `omh:rr-interval:1.0`.
    #[must_use]
    pub fn effective(&self) -> Option<EffectiveTime> {
        self.effective
    }

    /// When the data point was created at its source: the header's `source_creation_date_time`.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.created
    }
}

/// Reads a data point and checks it against the schema that `code` names, for example
/// `omh:heart-rate:2.0`. The header must name the same schema.
///
/// The bytes may be nested 127 deep; members that the schemas do not name are ignored.
pub fn parse(bytes: &[u8], code: &str) -> Result<DataPoint, Invalid> {
    let named = code.parse::<SchemaId>().ok();
    let (Some(schema), Some(schema_id)) = (schema::body(code), named.clone()) else {
        return Err(Invalid::UnknownSchema(named));
    };
    let point: Value = serde_json::from_slice(bytes).map_err(|_| Invalid::NotJson)?;
    let header = checked(&point, "header", &HEADER, in_header)?;
    agree(header, &schema_id)?;
    let body = checked(&point, "body", schema, in_body)?;
    Ok(DataPoint { schema_id, effective: EffectiveTime::of_body(body)?, created: created(header)? })
}

fn in_header(Breach { path, reason }: Breach) -> Invalid {
    Invalid::Header { path, reason }
}

fn in_body(Breach { path, reason }: Breach) -> Invalid {
    Invalid::Body { path, reason }
}

/// A member of the data point that its schema accepts.
fn checked<'a>(
    point: &'a Value,
    name: &str,
    schema: &'static Schema,
    refuse: fn(Breach) -> Invalid,
) -> Result<&'a Value, Invalid> {
    let validator = schema.validator().ok_or(Invalid::UnusableSchema(schema.code()))?;
    let value = point
        .get(name)
        .ok_or_else(|| refuse(Breach { path: String::new(), reason: format!("the member \"{name}\" is required") }))?;
    schema::check(validator, value, name).map_err(refuse)?;
    Ok(value)
}

/// The header must name the schema that the caller expects.
fn agree(header: &Value, expected: &SchemaId) -> Result<(), Invalid> {
    let part =
        |name| header.pointer("/schema_id").and_then(|id| id.get(name)).and_then(Value::as_str).unwrap_or_default();
    let found = SchemaId::new(part("namespace"), part("name"), part("version"));
    let found = found
        .map_err(|malformed| Invalid::Header { path: "/header/schema_id".to_owned(), reason: malformed.to_string() })?;
    if found == *expected { Ok(()) } else { Err(Invalid::SchemaMismatch { expected: expected.clone(), found }) }
}

fn created(header: &Value) -> Result<Timestamp, Invalid> {
    let text = header.get("source_creation_date_time").and_then(Value::as_str);
    text.map_or(Err(Misread::NotADateTime), Stated::read).map(|stated| stated.instant).map_err(|misread| {
        Invalid::Header {
            path: "/header/source_creation_date_time".to_owned(),
            reason: match misread {
                Misread::NotADateTime => "must be a date and time such as 2026-03-01T07:30:00Z",
                Misread::TooLate => "must be before 9999-12-30",
            }
            .to_owned(),
        }
    })
}
