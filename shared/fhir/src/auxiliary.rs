//! Resources that are kept as they come: of a patient, from a FHIR Source, without an interpretation of their content.
//!
//! What is checked is what access and storage depend on: the type, the patient, the source, the depth and the size; and that it
//! is a resource of R5.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::primitive::relative;
use crate::{Rejection, r5};

/// `meta.source` of a resource is this and the id of its FHIR Source.
pub const SOURCE_BASE: &str = "https://jupyterhealth.org/fhir/fhir-source/";

/// The code system of the scopes that name a resource type (<https://hl7.org/fhir/R5/valueset-resource-types.html>).
pub const TYPE_SYSTEM: &str = "http://hl7.org/fhir/resource-types";

/// The extension with the patient's id; what comes under this URL is replaced.
const PATIENT_ID: &str = "https://jupyterhealth.org/fhir/StructureDefinition/patient-id";

/// The extension with the patient's name; the same.
const PATIENT_NAME: &str = "https://jupyterhealth.org/fhir/StructureDefinition/patient-full-name";

/// The types.
pub const TYPES: [&str; 20] = [
    "AllergyIntolerance",
    "CarePlan",
    "CareTeam",
    "Condition",
    "Coverage",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Goal",
    "Immunization",
    "Location",
    "Medication",
    "MedicationDispense",
    "MedicationRequest",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "QuestionnaireResponse",
    "RelatedPerson",
    "ServiceRequest",
];

/// The types that have routes of their own, which offer less.
const MAPPED: [&str; 6] = ["Device", "Group", "Observation", "Organization", "Patient", "Practitioner"];

/// How deep objects and lists may be in one another.
const MAX_DEPTH: usize = 32;

/// The longest content, in bytes.
const MAX_CONTENT: usize = 1024 * 1024;

/// The type with this name, if it is one of those kept so.
pub fn kind(name: &str) -> Result<&'static str, Rejection> {
    match TYPES.into_iter().find(|known| *known == name) {
        Some(kind) => Ok(kind),
        None if MAPPED.contains(&name) => {
            Err(Rejection::method_not_allowed("resource type", "does not offer this interaction"))
        }
        None => Err(Rejection::not_served("resource type", "is not served here")),
    }
}

/// A resource as it came, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its id where it comes from.
    pub upstream_id: Option<String>,
    /// The FHIR Source that its `meta.source` names.
    pub source: Option<i32>,
    /// The patient of this exchange that it is about, as far as it says.
    pub patient: Option<i32>,
    /// What is kept: the resource without `resourceType`, `id`, and what [`render`] adds.
    pub content: String,
}

impl Submission {
    /// Checks a resource of R5. `base_url` is the FHIR base of this exchange, without a slash at its end.
    pub fn parse(kind: &'static str, value: &Value, base_url: &str) -> Result<Self, Rejection> {
        let submission = Self::parse_any_release(kind, value, base_url)?;
        r5::check(kind, value)?;
        Ok(submission)
    }

    /// Checks a resource that is of another release of FHIR, as far as access and storage depend on it.
    pub fn parse_any_release(kind: &'static str, value: &Value, base_url: &str) -> Result<Self, Rejection> {
        let Value::Object(members) = value else {
            return Err(Rejection::structure(kind, "must be a JSON object"));
        };
        if members.get("resourceType").and_then(Value::as_str) != Some(kind) {
            return Err(Rejection::structure("resourceType", "must be the type that the URL names"));
        }
        bounded(kind, value, MAX_DEPTH)?;
        let upstream_id = members.get("id").map(upstream_id).transpose()?;
        let source = source(members.get("meta"))?;
        let patient = patient(kind, members, base_url)?;
        let content = Value::Object(kept(members)).to_string();
        if content.len() > MAX_CONTENT {
            return Err(Rejection::too_costly(kind, "must not have more than 1 MiB"));
        }
        Ok(Self { upstream_id, source, patient, content })
    }
}

/// The FHIR Source in a `meta.source`.
#[must_use]
pub fn source_id(source: &str) -> Option<i32> {
    source.strip_prefix(SOURCE_BASE).and_then(crate::primitive::id32)
}

/// What is stored must be text that the database takes, and no deeper than readers of it go.
fn bounded(kind: &str, value: &Value, depth: usize) -> Result<(), Rejection> {
    let text = |text: &str| {
        if text.contains('\0') { Err(Rejection::value(kind, "must not contain the character U+0000")) } else { Ok(()) }
    };
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(Rejection::too_costly(kind, "must not be deeper than 32 levels"));
    };
    match value {
        Value::String(value) => text(value),
        Value::Array(items) => items.iter().try_for_each(|item| bounded(kind, item, deeper)),
        Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            text(name)?;
            bounded(kind, member, deeper)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// An `id` (<https://hl7.org/fhir/R5/datatypes.html#id>).
pub(crate) fn upstream_id(value: &Value) -> Result<String, Rejection> {
    value
        .as_str()
        .filter(|id| (1..=64).contains(&id.len()))
        .filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)))
        .map(str::to_owned)
        .ok_or_else(|| Rejection::value("id", "must be 1 to 64 letters, digits, hyphens and dots"))
}

pub(crate) fn source(meta: Option<&Value>) -> Result<Option<i32>, Rejection> {
    match meta {
        None => Ok(None),
        Some(Value::Object(meta)) => Ok(meta.get("source").and_then(Value::as_str).and_then(source_id)),
        Some(_) => Err(Rejection::structure("meta", "must be a JSON object")),
    }
}

/// The patient of this exchange that the resource names: `Patient/` and a number, by itself or after our base. A reference
/// of any other form is the source's own name of the patient, and is kept.
pub(crate) fn patient(kind: &str, members: &Map<String, Value>, base_url: &str) -> Result<Option<i32>, Rejection> {
    let mut found = None;
    // `beneficiary` is what Coverage calls its patient.
    for name in ["subject", "patient", "beneficiary"] {
        let reference = members.get(name).and_then(|element| element.get("reference")).and_then(Value::as_str);
        let Some(reference) = reference else { continue };
        let own = reference.strip_prefix(base_url).and_then(|rest| rest.strip_prefix('/')).unwrap_or(reference);
        let named = relative(own, "Patient");
        if named.is_some() && found.is_some() && named != found {
            return Err(Rejection::value(kind, "must be about one patient"));
        }
        found = named.or(found);
    }
    Ok(found)
}

/// The members that are kept.
fn kept(members: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = members.clone();
    kept.remove("resourceType");
    kept.remove("id");
    if let Some(Value::Object(meta)) = kept.get_mut("meta") {
        for known_elsewhere in ["source", "versionId", "lastUpdated"] {
            meta.remove(known_elsewhere);
        }
    }
    if let Some(Value::Array(extensions)) = kept.get_mut("extension") {
        extensions.retain(|extension| {
            !extension.get("url").and_then(Value::as_str).is_some_and(|url| [PATIENT_ID, PATIENT_NAME].contains(&url))
        });
    }
    kept
}

/// A resource as it is stored.
#[derive(Clone, Debug)]
pub struct Stored<'a> {
    /// Its id here.
    pub id: &'a str,
    /// Its version, from 1.
    pub version: i32,
    /// When that version was stored.
    pub last_updated: Timestamp,
    /// Its FHIR Source.
    pub source: i32,
    /// Its patient.
    pub patient: i32,
    /// The patient's name.
    pub patient_name: &'a str,
    /// What [`Submission::content`] was.
    pub content: &'a str,
}

/// The resource as it is answered; none when what is stored is no JSON object.
#[must_use]
pub fn render(kind: &str, stored: &Stored<'_>) -> Option<Value> {
    let Ok(Value::Object(mut members)) = serde_json::from_str(stored.content) else { return None };
    members.insert("resourceType".to_owned(), kind.into());
    members.insert("id".to_owned(), stored.id.into());
    if let Value::Object(meta) = members.entry("meta").or_insert_with(|| json!({})) {
        meta.insert("source".to_owned(), format!("{SOURCE_BASE}{}", stored.source).into());
        meta.insert("versionId".to_owned(), stored.version.to_string().into());
        meta.insert("lastUpdated".to_owned(), stored.last_updated.to_string().into());
    }
    if let Value::Array(extensions) = members.entry("extension").or_insert_with(|| json!([])) {
        extensions.push(json!({ "url": PATIENT_ID, "valueInteger": stored.patient }));
        if !stored.patient_name.trim().is_empty() {
            extensions.push(json!({ "url": PATIENT_NAME, "valueString": stored.patient_name }));
        }
    }
    Some(Value::Object(members))
}

/// A resource with a patch applied, which names what changes; null takes a member away (RFC 7396).
#[must_use]
pub fn patched(resource: Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else { return patch.clone() };
    let mut members = if let Value::Object(members) = resource { members } else { Map::new() };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            let before = members.remove(name).unwrap_or(Value::Null);
            members.insert(name.clone(), patched(before, change));
        }
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests;
