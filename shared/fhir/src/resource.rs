//! What Patient, Practitioner, Organization, Group and Device have in common.

use jiff::Timestamp;

use crate::json::Object;
use crate::{MODEL_SYSTEM, SOURCE};

/// An identifier of a person, such as a medical record number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusinessIdentifier {
    /// The namespace of the value.
    pub system: Option<String>,
    /// The value.
    pub value: String,
}

/// The name of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonName {
    /// The family name.
    pub family: Option<String>,
    /// The given name.
    pub given: Option<String>,
}

/// The version of a resource that shows a record: when the record last changed, in microseconds. It is `meta.versionId` and the
/// `ETag` (<https://hl7.org/fhir/R5/http.html#versioning>).
#[must_use]
pub fn version(last_updated: Timestamp) -> i64 {
    last_updated.as_microsecond()
}

/// Starts a resource with its type, id and meta.
pub(crate) fn head(resource_type: &str, id: i32, last_updated: Timestamp) -> Object {
    let meta = Object::new()
        .string("versionId", &version(last_updated).to_string())
        .string("lastUpdated", &last_updated.to_string())
        .string("source", SOURCE);
    Object::resource(resource_type).string("id", &id.to_string()).raw("meta", &meta.finish())
}

/// A `CodeableConcept` that says which model of the exchange a resource is.
pub(crate) fn model(code: &str) -> String {
    let coding = Object::new().string("system", MODEL_SYSTEM).string("code", code).finish();
    Object::new().list("coding", &[coding]).finish()
}

/// A `Reference`.
pub(crate) fn reference(resource_type: &str, id: i32) -> String {
    Object::new().string("reference", &format!("{resource_type}/{id}")).finish()
}

/// The list `identifier`.
pub(crate) fn identifiers(identifiers: &[BusinessIdentifier]) -> Vec<String> {
    identifiers
        .iter()
        .filter(|identifier| !identifier.value.trim().is_empty())
        .map(|identifier| {
            Object::new().optional("system", identifier.system.as_deref()).string("value", &identifier.value).finish()
        })
        .collect()
}

/// The list `name` of a person.
pub(crate) fn names(name: &PersonName) -> Vec<String> {
    let mut given = Vec::new();
    if let Some(text) = name.given.as_deref().filter(|text| !text.trim().is_empty()) {
        let mut quoted = String::new();
        crate::json::push_string(&mut quoted, text);
        given.push(quoted);
    }
    let name = Object::new().optional("family", name.family.as_deref()).list("given", &given);
    if name.is_empty() { Vec::new() } else { vec![name.finish()] }
}

/// One `ContactPoint`, if there is a value.
pub(crate) fn contact(system: &str, value: Option<&str>, used_for: &str) -> Option<String> {
    let value = value.filter(|value| !value.trim().is_empty())?;
    Some(Object::new().string("system", system).string("value", value).string("use", used_for).finish())
}
