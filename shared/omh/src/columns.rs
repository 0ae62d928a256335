//! The values that a data point of a schema can have, by their paths: the columns of a table of such points.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::schema;

/// References that lead to themselves end here; no schema goes half as deep.
const DEEPEST: usize = 16;

/// A value that a body can have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Column {
    /// Its path, `heart_rate.value`.
    pub path: String,
    /// What it is.
    pub kind: ColumnKind,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnKind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// Anything else, or one thing by one form of the schema and another by another.
    Json,
}

impl ColumnKind {
    fn of(schema: &Value) -> Self {
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => Self::Text,
            Some("number") => Self::Number,
            Some("integer") => Self::Integer,
            Some("boolean") => Self::Boolean,
            None if is_of_texts(schema) => Self::Text,
            _ => Self::Json,
        }
    }
}

/// Whether only texts are allowed, each by itself.
fn is_of_texts(schema: &Value) -> bool {
    let allowed = schema.get("enum").and_then(Value::as_array);
    allowed.is_some_and(|allowed| allowed.iter().all(Value::is_string))
        || schema.get("const").is_some_and(Value::is_string)
}

/// The values of a body, each once, by the alphabet of their paths. None: no schema has this code.
#[must_use]
pub fn columns(code: &str) -> Option<Vec<Column>> {
    let root: Value = serde_json::from_str(schema::body(code)?.document()).ok()?;
    let parts: BTreeMap<&str, Value> =
        schema::parts().filter_map(|(uri, text)| Some((uri, serde_json::from_str(text).ok()?))).collect();
    let mut found = Vec::new();
    Walk { parts: &parts, found: &mut found }.walk("", &root, &root, 0);
    found.sort_unstable();
    found.dedup();
    // What is of several kinds is written as it is.
    let mut columns: Vec<Column> = Vec::with_capacity(found.len());
    for column in found {
        match columns.last_mut().filter(|last| last.path == column.path) {
            Some(last) => last.kind = ColumnKind::Json,
            None => columns.push(column),
        }
    }
    Some(columns)
}

struct Walk<'a> {
    parts: &'a BTreeMap<&'a str, Value>,
    found: &'a mut Vec<Column>,
}

impl Walk<'_> {
    /// The values of a schema, which is part of a document. An object without known members is one value, and so is a list.
    fn walk(&mut self, path: &str, of: &Value, document: &Value, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        let parts = self.parts;
        if let Some(reference) = of.get("$ref").and_then(Value::as_str) {
            let (uri, place) = reference.split_once('#').unwrap_or((reference, ""));
            let document = if uri.is_empty() { Some(document) } else { parts.get(uri) };
            if let Some((document, of)) = document.and_then(|document| Some((document, document.pointer(place)?))) {
                self.walk(path, of, document, depth.saturating_add(1));
            }
            return;
        }
        let mut is_leaf = true;
        if let Some(members) = of.get("properties").and_then(Value::as_object) {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                self.walk(&path, member, document, depth.saturating_add(1));
            }
            is_leaf = false;
        }
        for several in ["allOf", "anyOf", "oneOf"] {
            for one in of.get(several).and_then(Value::as_array).into_iter().flatten() {
                // What only says which members are required has no values.
                if ["$ref", "properties", "type", "enum", "allOf", "anyOf", "oneOf"]
                    .iter()
                    .any(|key| one.get(key).is_some())
                {
                    self.walk(path, one, document, depth.saturating_add(1));
                    is_leaf = false;
                }
            }
        }
        if is_leaf && !path.is_empty() {
            self.found.push(Column { path: path.to_owned(), kind: ColumnKind::of(of) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known_codes;

    #[test]
    fn a_heart_rate_has_a_value_a_unit_and_a_time() {
        let columns = columns("omh:heart-rate:2.0").unwrap();
        let kind = |path: &str| columns.iter().find(|column| column.path == path).map(|column| column.kind);
        for (path, expected) in [
            ("heart_rate.value", ColumnKind::Number),
            ("heart_rate.unit", ColumnKind::Text),
            ("effective_time_frame.date_time", ColumnKind::Text),
            ("descriptive_statistic", ColumnKind::Text),
        ] {
            assert_eq!(kind(path), Some(expected), "{path}: {columns:?}");
        }
        assert!(columns.is_sorted());
    }

    #[test]
    fn every_schema_has_columns_each_once_and_few_of_no_kind() {
        for code in known_codes() {
            let columns = columns(code).unwrap();
            assert!(columns.len() > 1, "{code}: {columns:?}");
            let mut once = columns.clone();
            once.dedup_by(|one, other| one.path == other.path);
            assert_eq!(once, columns, "{code}");
            let others: Vec<_> = columns.iter().filter(|column| column.kind == ColumnKind::Json).collect();
            assert!(others.len() <= 2, "{code}: {others:?}");
        }
        assert_eq!(columns("omh:nothing:1.0"), None);
    }
}
