//! Observations as a table: a row for each, a column for each value of the data point; as CSV and as Parquet.
//!
//! The columns are those that the schema of the code has, so that they are the same in every file of a kind of data, however little a
//! file has and whatever is in it. What no column takes is in the last one, as JSON.

mod csv_text;
mod parquet_file;

pub use csv_text::csv;
pub use parquet_file::parquet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use omh::{Column, ColumnKind};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The columns that every table begins with. None: a time.
const FIRST: [(&str, Option<ColumnKind>); 8] = [
    ("patient_id", Some(ColumnKind::Integer)),
    ("observation_id", Some(ColumnKind::Integer)),
    ("last_updated", None),
    ("status", Some(ColumnKind::Text)),
    ("code", Some(ColumnKind::Text)),
    ("effective_start", None),
    ("effective_end", None),
    ("device_id", Some(ColumnKind::Integer)),
];

/// The last column: what no other takes, by its path, as JSON.
const OTHER: &str = "other";

/// The values of FHIR that have columns, of observations that are no data points of Open mHealth.
const OF_FHIR: [(&str, ColumnKind); 8] = [
    ("component", ColumnKind::Json),
    ("valueBoolean", ColumnKind::Boolean),
    ("valueCodeableConcept", ColumnKind::Json),
    ("valueInteger", ColumnKind::Integer),
    ("valueQuantity.code", ColumnKind::Text),
    ("valueQuantity.unit", ColumnKind::Text),
    ("valueQuantity.value", ColumnKind::Number),
    ("valueString", ColumnKind::Text),
];

/// Something is no resource, or cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A line is no JSON.
    #[error("a line of an export is no resource")]
    Line(#[from] serde_json::Error),
    /// The text cannot be written.
    #[error(transparent)]
    Csv(#[from] ::csv::Error),
    /// The file cannot be written.
    #[error(transparent)]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// What was written cannot be taken back.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Observations of a kind.
struct Table {
    columns: Vec<Column>,
    rows: Vec<Row>,
}

/// An observation: what is in the first columns, in those of its kind, and what no column takes.
struct Row {
    first: [Value; FIRST.len()],
    values: Vec<Value>,
    other: BTreeMap<String, Value>,
}

impl Table {
    /// The table of resources, each on a line of its own.
    fn of<T: AsRef<str>>(lines: &[T], code: Option<&str>) -> Result<Self, TableError> {
        let of_fhir = || OF_FHIR.map(|(path, kind)| Column { path: path.to_owned(), kind }).to_vec();
        let columns = code.and_then(omh::columns).unwrap_or_else(of_fhir);
        let rows = lines.iter().map(|line| Ok(Row::of(&columns, serde_json::from_str(line.as_ref())?)));
        Ok(Self { rows: rows.collect::<Result<_, TableError>>()?, columns })
    }
}

impl Row {
    fn of(columns: &[Column], mut resource: Value) -> Self {
        let mut row =
            Self { first: first(&resource), values: vec![Value::Null; columns.len()], other: BTreeMap::new() };
        let data = resource.pointer("/valueAttachment/data").and_then(Value::as_str);
        let point = data.and_then(|data| STANDARD.decode(data).ok());
        let point: Option<Value> = point.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match point.and_then(|mut point| point.get_mut("body").map(Value::take)) {
            Some(body) => row.take(columns, String::new(), body),
            None => {
                for (name, value) in resource.as_object_mut().map(std::mem::take).unwrap_or_default() {
                    if name.starts_with("value") || name == "component" {
                        row.take(columns, name, value);
                    }
                }
            }
        }
        row
    }

    /// Puts a value where it belongs: into the column of its path, or, of an object, each member by itself.
    fn take(&mut self, columns: &[Column], path: String, value: Value) {
        let column = columns.binary_search_by(|column| column.path.as_str().cmp(&path)).ok();
        let place = column.filter(|at| columns.get(*at).is_some_and(|column| fits(column.kind, &value)));
        match (place.and_then(|at| self.values.get_mut(at)), value) {
            (_, Value::Null) => {}
            (Some(place), value) => *place = value,
            (None, Value::Object(members)) => {
                for (name, member) in members {
                    let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                    self.take(columns, path, member);
                }
            }
            (None, value) => drop(self.other.insert(path, value)),
        }
    }
}

/// Whether a column of this kind takes a value.
fn fits(kind: ColumnKind, value: &Value) -> bool {
    match kind {
        ColumnKind::Text => value.is_string(),
        ColumnKind::Number => value.as_f64().is_some_and(f64::is_finite),
        ColumnKind::Integer => whole(value).is_some(),
        ColumnKind::Boolean => value.is_boolean(),
        ColumnKind::Json => true,
    }
}

/// A whole number, also one that is written `5.0`, which is one by JSON Schema.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
        format!("{number:.0}").parse().ok()
    })
}

/// The values of the first columns.
fn first(resource: &Value) -> [Value; FIRST.len()] {
    let text = |path: &str| resource.pointer(path).cloned().unwrap_or_default();
    let id = |path: &str| {
        let reference = resource.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let id = reference.rsplit('/').next().filter(|id| !id.is_empty());
        id.map_or(Value::Null, Value::from)
    };
    let start = Some(text("/effectivePeriod/start")).filter(|start| !start.is_null());
    [
        id("/subject/reference"),
        text("/id"),
        text("/meta/lastUpdated"),
        text("/status"),
        text("/code/coding/0/code"),
        start.unwrap_or_else(|| text("/effectiveDateTime")),
        text("/effectivePeriod/end"),
        id("/device/reference"),
    ]
}

/// What no column takes, as JSON. Nothing: null.
fn others(other: BTreeMap<String, Value>) -> Value {
    if other.is_empty() {
        return Value::Null;
    }
    Value::String(Value::Object(other.into_iter().collect::<Map<_, _>>()).to_string())
}

#[cfg(test)]
mod tests;
