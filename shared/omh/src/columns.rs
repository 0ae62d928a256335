//! The values that a data point of a schema can have, by their paths: the columns of a table of such points.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::schema;

/// References that lead to themselves end here; no schema goes half as deep.
const DEEPEST: usize = 16;

/// The paths of the values of a body, `heart_rate.value`, in the order of the alphabet. None: no schema has this code.
#[must_use]
pub fn columns(code: &str) -> Option<Vec<String>> {
    let root: Value = serde_json::from_str(schema::body(code)?.document()).ok()?;
    let parts: BTreeMap<&str, Value> =
        schema::parts().filter_map(|(uri, text)| Some((uri, serde_json::from_str(text).ok()?))).collect();
    let mut found = Vec::new();
    Walk { parts: &parts, found: &mut found }.walk("", &root, &root, 0);
    found.sort_unstable();
    found.dedup();
    Some(found)
}

struct Walk<'a> {
    parts: &'a BTreeMap<&'a str, Value>,
    found: &'a mut Vec<String>,
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
            self.found.push(path.to_owned());
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
        for name in ["heart_rate.value", "heart_rate.unit", "effective_time_frame.date_time", "descriptive_statistic"] {
            assert!(columns.iter().any(|column| column == name), "{name}: {columns:?}");
        }
        assert!(columns.is_sorted());
    }

    #[test]
    fn every_schema_has_columns_each_once_and_none_within_another() {
        for code in known_codes() {
            let columns = columns(code).unwrap();
            assert!(columns.len() > 1, "{code}: {columns:?}");
            let mut once = columns.clone();
            once.dedup();
            assert_eq!(once, columns, "{code}");
        }
        assert_eq!(columns("omh:nothing:1.0"), None);
    }
}
