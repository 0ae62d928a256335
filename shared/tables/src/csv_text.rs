//! The table as text.

use crate::{FIRST, OTHER, Row, Table, TableError, others};
use serde_json::Value;

/// What a spreadsheet would take for a formula begins like this.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Observations of a kind, a resource on each line, as CSV (RFC 4180) with a line of names. Numbers are as they were sent.
pub fn csv<T: AsRef<str>>(lines: &[T], code: Option<&str>) -> Result<Vec<u8>, TableError> {
    let table = Table::of(lines, code)?;
    let mut out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let first = FIRST.iter().map(|(name, _)| *name);
    out.write_record(first.chain(table.columns.iter().map(|column| column.path.as_str())).chain([OTHER]))?;
    for Row { first, values, other, .. } in table.rows {
        let values = first.into_iter().chain(values).chain([others(other)]);
        out.write_record(values.map(text))?;
    }
    out.into_inner().map_err(|error| error.into_error().into())
}

/// A value as text.
fn text(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        other => other.to_string(),
    }
}

/// A text that no spreadsheet takes for a formula: `'` is before it. Also before what begins with that itself, so that who reads it knows
/// what was sent. Numbers are not texts, and stay as they are.
fn harmless(text: String) -> String {
    // Some take it for one also after blanks.
    let is_formula = text.trim_start().starts_with(FORMULA) || text.starts_with(FORMULA);
    if is_formula || text.starts_with('\'') { format!("'{text}") } else { text }
}
