//! `Organization` (<https://hl7.org/fhir/R5/organization.html>).

use jiff::Timestamp;

use crate::resource::{head, model, reference};

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// The id.
    pub id: i32,
    /// When it last changed.
    pub last_updated: Timestamp,
    /// The name.
    pub name: String,
    /// The organization it is a part of.
    pub part_of: Option<i32>,
}

impl Organization {
    /// The resource as R5 JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let organization = head("Organization", self.id, self.last_updated)
            .list("type", &[model("organization")])
            .optional("name", Some(&self.name));
        match self.part_of {
            Some(parent) => organization.raw("partOf", &reference("Organization", parent)).finish(),
            None => organization.finish(),
        }
    }
}
