//! `Device` (<https://hl7.org/fhir/R5/device.html>): a data source.

use jiff::Timestamp;

use crate::json::Object;
use crate::resource::{head, model};

/// A data source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The id.
    pub id: i32,
    /// When it last changed.
    pub last_updated: Timestamp,
    /// The name.
    pub name: String,
}

impl Device {
    /// The resource as R5 JSON. `displayName` repeats the name for readers that want one text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut names = Vec::new();
        if !self.name.trim().is_empty() {
            names.push(Object::new().string("value", &self.name).string("type", "user-friendly-name").finish());
        }
        head("Device", self.id, self.last_updated)
            .optional("displayName", Some(&self.name))
            .list("name", &names)
            .list("type", &[model("data-source")])
            .finish()
    }
}
