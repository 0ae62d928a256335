//! An event as the text that is hashed: the same for the same event, whoever reads the row and whenever.
//!
//! It is a line with the name of this form, then a JSON object of all columns: names in order, no spaces, numbers as PostgreSQL
//! writes them, the time in UTC with microseconds. A column that is NULL is left out. So a column that a later version adds, and
//! that is NULL in the rows of before, changes no text that was hashed.

use crate::{Hash, merkle};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The name of the form.
pub const FORM: &str = "jhe-audit-event/1";

/// A row of `audit_event`.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its number.
    pub id: i64,
    /// When.
    pub occurred_at: Timestamp,
    /// All columns as JSON. The time in it depends on who reads it, and is not used.
    pub columns: Map<String, Value>,
}

impl Event {
    /// The text that is hashed.
    #[must_use]
    pub fn text(&self) -> String {
        let id = Value::from(self.id);
        let time = Value::from(format!("{:.6}", self.occurred_at));
        let mut members: BTreeMap<&str, &Value> = self
            .columns
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        members.insert("id", &id);
        members.insert("occurred_at", &time);
        let mut text = format!("{FORM}\n");
        write_object(&mut text, &members);
        text
    }

    /// The hash of the leaf.
    #[must_use]
    pub fn hash(&self) -> Hash {
        merkle::leaf_hash(self.text().as_bytes())
    }
}

fn write_object(text: &mut String, members: &BTreeMap<&str, &Value>) {
    text.push('{');
    for (place, (name, value)) in members.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&Value::from(*name).to_string());
        text.push(':');
        write_value(text, value);
    }
    text.push('}');
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Object(object) => {
            write_object(text, &object.iter().map(|(name, value)| (name.as_str(), value)).collect());
        }
        Value::Array(values) => {
            text.push('[');
            for (place, value) in values.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write_value(text, value);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(columns: &str) -> Event {
        let occurred_at = "2026-03-01T12:00:00.5Z".parse().unwrap();
        Event { id: 7, occurred_at, columns: serde_json::from_str(columns).unwrap() }
    }

    #[test]
    fn the_text_is_this() {
        let columns = r#"{"outcome": "allowed", "id": 7, "reason": "he said \"é\"\n", "occurred_at": "2026-03-01T13:00:00.5+01:00",
            "detail": {"z": [1.00, {"b": null, "a": false}], "a": {}}, "client_id": null, "patient_ids": []}"#;
        let expected = concat!(
            "jhe-audit-event/1\n",
            r#"{"detail":{"a":{},"z":[1.00,{"a":false,"b":null}]},"id":7,"#,
            r#""occurred_at":"2026-03-01T12:00:00.500000Z","outcome":"allowed","patient_ids":[],"reason":"he said \"é\"\n"}"#
        );
        assert_eq!(event(columns).text(), expected);
        assert_eq!(event(columns).hash(), merkle::leaf_hash(expected.as_bytes()));
    }

    #[test]
    fn a_column_that_is_added_later_changes_nothing_and_one_that_is_set_does() {
        let before = event(r#"{"action": "read"}"#);
        assert_eq!(event(r#"{"session": null, "action": "read"}"#).hash(), before.hash());
        for other in [r#"{"session": "", "action": "read"}"#, r#"{"action": "Read"}"#, r#"{"action": ["read"]}"#, "{}"]
        {
            assert_ne!(event(other).hash(), before.hash(), "{other}");
        }
        assert_ne!(Event { id: 8, ..before.clone() }.hash(), before.hash());
        let later = before.occurred_at + jiff::SignedDuration::from_micros(1);
        assert_ne!(Event { occurred_at: later, ..before.clone() }.hash(), before.hash());
    }
}
