//! `Group` (<https://hl7.org/fhir/R5/group.html>): a study, as the group of its patients.

use jiff::Timestamp;

use crate::resource::{head, model, reference};

/// A study.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The id.
    pub id: i32,
    /// When it last changed.
    pub last_updated: Timestamp,
    /// The name.
    pub name: String,
    /// What the study is about.
    pub description: Option<String>,
    /// The organization that runs it.
    pub organization: Option<i32>,
}

impl Group {
    /// The resource as R5 JSON. Members are not listed: who takes part is asked of Patient.
    #[must_use]
    pub fn to_json(&self) -> String {
        let group = head("Group", self.id, self.last_updated)
            .string("type", "person")
            .string("membership", "enumerated")
            .raw("code", &model("study"))
            .optional("name", Some(&self.name))
            .optional("description", self.description.as_deref());
        match self.organization {
            Some(id) => group.raw("managingEntity", &reference("Organization", id)).finish(),
            None => group.finish(),
        }
    }
}
