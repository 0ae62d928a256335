//! JSON text written in order, without a failure path.

use std::fmt::Write as _;

use serde_json::Value;

/// Appends `text` as a JSON string (RFC 8259 section 7).
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A JSON object, its members in the order they are added.
pub(crate) struct Object {
    out: String,
}

impl Object {
    /// An object without members.
    pub(crate) fn new() -> Self {
        Self { out: String::from("{") }
    }

    /// A resource: `resourceType` first.
    pub(crate) fn resource(resource_type: &str) -> Self {
        Self::new().string("resourceType", resource_type)
    }

    fn key(&mut self, key: &str) {
        if self.out.len() > 1 {
            self.out.push(',');
        }
        push_string(&mut self.out, key);
        self.out.push(':');
    }

    /// Adds a string.
    pub(crate) fn string(mut self, key: &str, value: &str) -> Self {
        self.key(key);
        push_string(&mut self.out, value);
        self
    }

    /// Adds a string that holds more than whitespace; FHIR has no empty strings.
    pub(crate) fn optional(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) if !value.trim().is_empty() => self.string(key, value),
            _ => self,
        }
    }

    /// Adds any value.
    pub(crate) fn value(self, key: &str, value: &Value) -> Self {
        self.raw(key, &value.to_string())
    }

    /// Adds a list of JSON texts. FHIR has no empty arrays: an empty list adds nothing.
    pub(crate) fn list(self, key: &str, items: &[String]) -> Self {
        if items.is_empty() {
            return self;
        }
        self.raw(key, &format!("[{}]", items.join(",")))
    }

    /// Adds text that is JSON already.
    pub(crate) fn raw(mut self, key: &str, json: &str) -> Self {
        self.key(key);
        self.out.push_str(json);
        self
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.out.len() == 1
    }

    /// The text.
    pub(crate) fn finish(mut self) -> String {
        self.out.push('}');
        self.out
    }
}
