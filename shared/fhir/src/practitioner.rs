//! `Practitioner` (<https://hl7.org/fhir/R5/practitioner.html>).

use jiff::Timestamp;

pub use crate::resource::PersonName;
use crate::resource::{head, names};

/// A practitioner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Practitioner {
    /// The id.
    pub id: i32,
    /// When it last changed.
    pub last_updated: Timestamp,
    /// The name.
    pub name: PersonName,
}

impl Practitioner {
    /// The resource as R5 JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        head("Practitioner", self.id, self.last_updated).list("name", &names(&self.name)).finish()
    }
}
