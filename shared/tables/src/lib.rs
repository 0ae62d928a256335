//! Observations as a table: a row for each, a column for each value of the data point; as CSV and as Parquet.
//!
//! The columns are those that the schema of the code has, so that they are the same in every file of a kind of data, however little a
//! file has and whatever is in it. What no column takes is in the last one, as JSON, by where it was: nothing of a data point is lost.

mod csv_text;
mod parquet_file;

pub use csv_text::csv;
pub use parquet_file::parquet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use omh::{Column, ColumnKind};
use serde_json::{Map, Value, json};

/// The columns that every table begins with. None: a time. The last three are of the data point's header, in this order.
const FIRST: [(&str, Option<ColumnKind>); 11] = [
    ("patient_id", Some(ColumnKind::Integer)),
    ("observation_id", Some(ColumnKind::Integer)),
    ("last_updated", None),
    ("status", Some(ColumnKind::Text)),
    ("code", Some(ColumnKind::Text)),
    ("effective_start", None),
    ("effective_end", None),
    ("device_id", Some(ColumnKind::Integer)),
    ("header_uuid", Some(ColumnKind::Text)),
    (CREATED, None),
    ("modality", Some(ColumnKind::Text)),
];

/// When the data point was created at its source: the column, and the member of the header.
const CREATED: &str = "source_creation_date_time";

/// The members of the header that have columns, as the columns are ordered.
const OF_HEADER: [&str; 3] = ["uuid", CREATED, "modality"];

/// The last column: what no other takes, as JSON, by the part that it is of.
const OTHER: &str = "other";

/// Where in the last column what is left of the data point's header is, of its body, of the data point beside these, and of the values
/// of the Observation itself. Each part is by itself, so that nobody's member is taken for another.
const HEADER: &str = "header";
const BODY: &str = "body";
const DATA_POINT: &str = "data_point";
const OBSERVATION: &str = "observation";

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

/// An observation: what is in the first columns, in those of its kind, and what no column takes, by part.
struct Row {
    first: [Value; FIRST.len()],
    values: Vec<Value>,
    other: Map<String, Value>,
    /// Where what is of the values belongs.
    part: &'static str,
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
        let data = resource.pointer("/valueAttachment/data").and_then(Value::as_str);
        let point = data.and_then(|data| STANDARD.decode(data).ok());
        let point: Option<Map<String, Value>> = point.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let point = point.filter(|point| point.contains_key(BODY));
        let mut row = Self {
            first: first(&resource),
            values: vec![Value::Null; columns.len()],
            other: Map::new(),
            part: if point.is_some() { BODY } else { OBSERVATION },
        };
        let is_point = point.is_some();
        if let Some(point) = point {
            row.point(columns, point);
        }
        for (name, value) in resource.as_object_mut().map(std::mem::take).unwrap_or_default() {
            let is_value = name.starts_with("value") || name == "component";
            if is_value && !(is_point && name == "valueAttachment") {
                let of_fhir = if is_point { &[] } else { columns };
                let left = row.take(of_fhir, &name, value);
                row.keep(OBSERVATION, &name, left);
            }
        }
        row
    }

    /// Takes a data point apart.
    fn point(&mut self, columns: &[Column], mut point: Map<String, Value>) {
        if let Some(body) = point.remove(BODY)
            && let Some(left) = self.take(columns, "", body)
        {
            self.other.insert(BODY.to_owned(), left);
        }
        if let Some(header) = point.remove(HEADER)
            && let Some(left) = self.header(header)
        {
            self.other.insert(HEADER.to_owned(), left);
        }
        if !point.is_empty() {
            self.other.insert(DATA_POINT.to_owned(), Value::Object(point));
        }
    }

    /// What is left of a header: what has no column, and the schema's name where the column `code` does not say it.
    fn header(&mut self, header: Value) -> Option<Value> {
        let Value::Object(mut members) = header else { return Some(header) };
        if members.is_empty() {
            return Some(Value::Object(members));
        }
        let [.., uuid, created, modality] = &mut self.first;
        for (place, name) in [uuid, created, modality].into_iter().zip(OF_HEADER) {
            if members.get(name).is_some_and(|value| fits(ColumnKind::Text, value)) {
                *place = members.remove(name).unwrap_or_default();
            }
        }
        let [.., code, _, _, _, _, _, _] = &self.first;
        if members.get("schema_id").is_some_and(|id| Some(id) == schema_id(code).as_ref()) {
            members.remove("schema_id");
        }
        (!members.is_empty()).then_some(Value::Object(members))
    }

    /// Puts a value where it belongs: into the column of its path, or, of an object, each member by itself. What no column takes is left.
    fn take(&mut self, columns: &[Column], path: &str, value: Value) -> Option<Value> {
        let column = columns.binary_search_by(|column| column.path.as_str().cmp(path)).ok();
        let place = column.filter(|at| columns.get(*at).is_some_and(|column| fits(column.kind, &value)));
        if let Some(place) = place.and_then(|at| self.values.get_mut(at)) {
            *place = value;
            return None;
        }
        match value {
            Value::Object(members) if !members.is_empty() => {
                let mut left = Map::new();
                for (name, member) in members {
                    // No schema has a name like this, and by its path it would be another's.
                    let member = if name.is_empty() || name.contains('.') {
                        Some(member)
                    } else if path.is_empty() {
                        self.take(columns, &name, member)
                    } else {
                        self.take(columns, &format!("{path}.{name}"), member)
                    };
                    left.extend(member.map(|member| (name, member)));
                }
                (!left.is_empty()).then_some(Value::Object(left))
            }
            value => Some(value),
        }
    }

    /// Keeps something in the last column, at its path within a part.
    fn keep(&mut self, part: &str, path: &str, value: Option<Value>) {
        let Some(value) = value else { return };
        let mut place = self.other.entry(part).or_insert_with(|| json!({}));
        for name in path.split('.') {
            if !place.is_object() {
                *place = json!({});
            }
            let Value::Object(members) = place else { return };
            place = members.entry(name).or_insert(Value::Null);
        }
        *place = value;
    }
}

/// The name of a schema as a header has it.
fn schema_id(code: &Value) -> Option<Value> {
    let mut parts = code.as_str()?.split(':');
    let id = json!({ "namespace": parts.next()?, "name": parts.next()?, "version": parts.next()? });
    parts.next().is_none().then_some(id)
}

/// Whether a column of this kind takes a value, so that it can be told from every other, and from none.
fn fits(kind: ColumnKind, value: &Value) -> bool {
    match kind {
        ColumnKind::Text => value.as_str().is_some_and(|text| !text.is_empty()),
        ColumnKind::Number => value.as_f64().is_some_and(f64::is_finite),
        ColumnKind::Integer => whole(value).is_some(),
        ColumnKind::Boolean => value.is_boolean(),
        ColumnKind::Json => value.is_array() || value.is_object(),
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
        Value::Null,
        Value::Null,
        Value::Null,
    ]
}

/// What no column takes, as JSON. Nothing: null.
fn others(other: Map<String, Value>) -> Value {
    if other.is_empty() { Value::Null } else { Value::String(Value::Object(other).to_string()) }
}

#[cfg(test)]
mod tests;
