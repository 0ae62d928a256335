//! Observations that come from a FHIR Source: its patient is the subject, its data source the device unless they name one.

use serde_json::{Map, Value, json};

use crate::Rejection;
use crate::auxiliary::{patient, source, upstream_id};

/// Where an Observation comes from.
#[derive(Clone, Copy, Debug)]
pub struct Brought<'a> {
    /// The patient of the FHIR Source.
    pub patient: i32,
    /// Its data source.
    pub device: i32,
    /// The FHIR base URL of the server that it comes from.
    pub base_url: &'a str,
}

/// The FHIR Source that the `meta.source` of an Observation names.
pub fn named_source(resource: &Value) -> Result<Option<i32>, Rejection> {
    source(resource.get("meta"))
}

impl Brought<'_> {
    /// The Observation as one of this exchange, whose FHIR base is `own_base`. Its id there becomes an identifier, so that it is
    /// stored once.
    pub fn adopt(&self, resource: &Value, own_base: &str) -> Result<Value, Rejection> {
        let Value::Object(members) = resource else {
            return Err(Rejection::structure("Observation", "must be a JSON object"));
        };
        let mut members: Map<String, Value> = members.clone();
        if patient("Observation", &members, own_base)?.is_some_and(|named| named != self.patient) {
            return Err(Rejection::value("Observation.subject", "must be about the patient of its FHIR Source"));
        }
        members.insert("subject".to_owned(), json!({ "reference": format!("Patient/{}", self.patient) }));
        members.entry("device").or_insert_with(|| json!({ "reference": format!("Device/{}", self.device) }));
        if let Some(id) = members.remove("id") {
            let system = format!("{}/Observation", self.base_url.trim_end_matches('/'));
            let identifier = json!({ "system": system, "value": upstream_id(&id)? });
            if let Value::Array(identifiers) = members.entry("identifier").or_insert_with(|| json!([])) {
                identifiers.push(identifier);
            }
        }
        Ok(Value::Object(members))
    }
}
