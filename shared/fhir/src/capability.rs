//! `CapabilityStatement` (<https://hl7.org/fhir/R5/capabilitystatement.html>): what we serve.

use serde_json::{Value, json};

use crate::auxiliary::TYPES;
use crate::search::{
    AUDIT_EVENT_PARAMETERS, AUXILIARY_PARAMETERS, COMMON_PARAMETERS, DIRECTORY_PARAMETERS, GROUP_PARAMETERS,
    OBSERVATION_PARAMETERS, PATIENT_PARAMETERS, Parameter,
};

/// The SMART extension that tells the OAuth endpoints.
const OAUTH_URIS: &str = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";

/// What says that Bulk Data Access is followed (<https://hl7.org/fhir/uv/bulkdata/STU2/CapabilityStatement-bulk-data.html>).
const BULK_DATA: &str = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data";

/// What the types offer that are kept as they come.
const KEPT_INTERACTIONS: [&str; 6] = ["create", "read", "update", "patch", "delete", "search-type"];

const DOCUMENTATION: &str = "Searches take _count (20, at most 1000), _summary=count, _total=accurate and \
    _source, and are also accepted as POST [type]/_search. Pages follow the link with the relation next. \
    Observation takes _sort, patient.organization, patient.identifier and patient._has:Group:member:_id; \
    Patient takes _has:Group:member:_id. Unknown parameters are ignored, or refused with \
    Prefer: handling=strict. An update of an Observation amends it: it takes If-Match and X-JHE-Reason.";

/// The statement of the server whose FHIR base is `base_url` (no slash at its end), as R5 JSON.
///
/// `date` is a FHIR dateTime: when this version of the software was made.
#[must_use]
pub fn statement(base_url: &str, version: &str, date: &str) -> String {
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "instantiates": [BULK_DATA],
        "software": { "name": "JupyterHealth Exchange", "version": version },
        "implementation": { "description": "JupyterHealth Exchange", "url": base_url },
        "fhirVersion": "5.0.0",
        "format": ["json"],
        "rest": [{
            "mode": "server",
            "documentation": DOCUMENTATION,
            "security": security(base_url),
            "resource": resources(),
            "interaction": [{ "code": "batch" }, { "code": "transaction" }],
        }],
    })
    .to_string()
}

/// What each type offers, by name.
fn resources() -> Vec<Value> {
    let mapped = [
        resource("AuditEvent", &["read", "search-type"], AUDIT_EVENT_PARAMETERS),
        // What is only read has no parameters, and FHIR has no empty lists.
        json!({ "type": "Consent", "interaction": [{ "code": "read" }], "versioning": "versioned" }),
        resource("Device", &["read", "search-type"], DIRECTORY_PARAMETERS),
        with_export(resource("Group", &["read", "search-type"], GROUP_PARAMETERS)),
        with_versions(resource(
            "Observation",
            &["create", "read", "vread", "update", "history-instance", "search-type"],
            OBSERVATION_PARAMETERS,
        )),
        resource("Organization", &["read", "search-type"], DIRECTORY_PARAMETERS),
        with_everything(resource("Patient", &["read", "search-type"], PATIENT_PARAMETERS)),
        resource("Practitioner", &["read", "search-type"], DIRECTORY_PARAMETERS),
    ];
    let kept = TYPES.map(|kind| resource(kind, &KEPT_INTERACTIONS, AUXILIARY_PARAMETERS));
    let mut all: Vec<Value> = mapped.into_iter().chain(kept).collect();
    all.sort_unstable_by(|one, other| one["type"].as_str().cmp(&other["type"].as_str()));
    all
}

fn security(base_url: &str) -> Value {
    let origin = base_url.strip_suffix("/FHIR/R5").unwrap_or(base_url);
    json!({
        "cors": true,
        "service": [{ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
            "code": "SMART-on-FHIR",
        }]}],
        "description": "OAuth 2.0 bearer tokens (SMART on FHIR).",
        "extension": [{ "url": OAUTH_URIS, "extension": [
            { "url": "authorize", "valueUri": format!("{origin}/o/authorize/") },
            { "url": "token", "valueUri": format!("{origin}/o/token/") },
        ]}],
    })
}

/// The same type with versions that can be read, and are named by who makes another.
fn with_versions(mut kind: Value) -> Value {
    if let Some(members) = kind.as_object_mut() {
        members.insert("versioning".to_owned(), json!("versioned-update"));
        members.insert("readHistory".to_owned(), json!(true));
        members.insert("updateCreate".to_owned(), json!(false));
    }
    kind
}

/// The same type with the operation that gives all resources of one.
fn with_everything(patient: Value) -> Value {
    with_operation(
        patient,
        json!([{
            "name": "everything",
            "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything",
            "documentation": "Takes _type, _since and _count, and pages as searches do. A practitioner gets what is consented to.",
        }]),
    )
}

/// The same type with the operation that exports what one was given.
fn with_export(group: Value) -> Value {
    with_operation(
        group,
        json!([{
            "name": "export",
            "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export",
            "documentation": "Takes _type, _since and _outputFormat (application/fhir+ndjson, text/csv, application/vnd.apache.parquet). What is consented to, when it is written and when it is downloaded.",
        }]),
    )
}

fn with_operation(mut resource: Value, operation: Value) -> Value {
    if let Some(members) = resource.as_object_mut() {
        members.insert("operation".to_owned(), operation);
    }
    resource
}

fn resource(resource_type: &str, interactions: &[&str], parameters: &[Parameter]) -> Value {
    let interactions: Vec<Value> = interactions.iter().map(|code| json!({ "code": code })).collect();
    let parameters: Vec<Value> = COMMON_PARAMETERS
        .iter()
        .chain(parameters)
        .map(|parameter| json!({ "name": parameter.name, "type": parameter.kind }))
        .collect();
    json!({
        "type": resource_type,
        "interaction": interactions,
        "versioning": "versioned",
        "searchParam": parameters,
    })
}
