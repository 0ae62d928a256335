//! Resources of R4.

use fhir::Rejection;
use fhir::observation::Submission;
use fhir::r4::{MAX_ENTRIES, convert, entries, kind};
use serde_json::{Value, json};

use crate::support::{facts, parsed};

fn outcome(kind: &str, resource: &Value) -> Vec<(String, String, Value)> {
    let outcome = parsed(&convert(kind, resource).outcome().to_json());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let issues = outcome["issue"].as_array().unwrap();
    issues
        .iter()
        .map(|issue| (text(&issue["severity"]), text(&issue["code"]), issue["expression"][0].clone()))
        .collect()
}

#[test]
fn an_observation_keeps_what_this_exchange_keeps_and_tells_the_rest() {
    let sent = json!({
        "resourceType": "Observation", "id": "e1", "status": "final", "meta": { "versionId": "3" },
        "text": { "status": "generated", "div": "<div/>" }, "encounter": { "reference": "Encounter/1" },
        "identifier": [{ "type": { "text": "x" }, "value": "1" }, { "period": {} }],
        "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4", "extension": [] }] },
        "subject": { "reference": "Patient/e9" }, "device": { "reference": "Device/e8" },
        "effectiveDateTime": "2026-02-01", "valueQuantity": { "value": 61.0, "extension": [] },
        "component": [{ "code": { "text": "ECG" }, "valueSampledData":
            { "origin": { "value": 0 }, "period": 4.0, "dimensions": 1, "data": "1 2" } }],
    });
    let converted = convert("Observation", &sent).resource;
    let sampled = &converted["component"][0]["valueSampledData"];
    assert_eq!(
        (&sampled["interval"], &sampled["intervalUnit"], &sampled["period"]),
        (&parsed("4.0"), &json!("ms"), &Value::Null)
    );
    assert_eq!(converted["identifier"], json!([{ "value": "1" }]));
    let told = outcome("Observation", &sent);
    let names: Vec<&str> = told.iter().filter_map(|(_, _, at)| at.as_str()).collect();
    for path in [
        "text",
        "encounter",
        "identifier.type",
        "identifier.period",
        "code.coding.extension",
        "device",
        "valueQuantity.extension",
    ] {
        assert!(names.contains(&format!("Observation.{path}").as_str()), "{path}: {names:?}");
    }
    let mut own = converted;
    own["subject"] = json!({ "reference": "Patient/40001" });
    own["device"] = json!({ "reference": "Device/70001" });
    Submission::parse(&own).unwrap();
}

#[test]
fn a_condition_gets_the_status_that_r5_requires() {
    let subject = json!({ "reference": "Patient/e9" });
    let sent = json!({ "resourceType": "Condition", "code": { "text": "a" }, "subject": subject });
    assert_eq!(convert("Condition", &sent).resource["clinicalStatus"]["coding"][0]["code"], "unknown");
    assert_eq!(
        outcome("Condition", &sent),
        [("warning".into(), "informational".into(), json!("Condition.clinicalStatus"))]
    );
    let has = json!({ "resourceType": "Condition", "clinicalStatus": { "text": "active" }, "subject": subject });
    assert_eq!(convert("Condition", &has).resource, has);
    assert_eq!(outcome("Condition", &has), [("information".into(), "informational".into(), Value::Null)]);
}

#[test]
fn what_is_not_r5_is_kept_and_told_by_its_place() {
    let sent = json!({ "resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "subject": { "reference": "Patient/e9" }, "medicationCodeableConcept": { "text": "Salbutamol" } });
    assert_eq!(convert("MedicationRequest", &sent).resource, sent);
    let at = json!("MedicationRequest.medicationCodeableConcept");
    assert_eq!(outcome("MedicationRequest", &sent), [("warning".into(), "informational".into(), at)]);
}

#[test]
fn a_body_is_a_resource_or_a_bundle_of_them() {
    let one = json!({ "resourceType": "Goal" });
    assert_eq!(entries(&one).unwrap(), [Ok(&one)]);
    assert_eq!(kind(&one), Ok("Goal"));
    for (resource, status) in
        [(json!({ "resourceType": "Patient" }), 405), (json!({ "resourceType": "Bundle" }), 404), (json!(1), 400)]
    {
        assert_eq!(kind(&resource).unwrap_err().status(), status, "{resource}");
    }
    let bundle = |kind: &str, entry: Value| json!({ "resourceType": "Bundle", "type": kind, "entry": entry });
    let put = json!({ "request": { "method": "PUT", "url": "Goal/1" }, "resource": one });
    let mixed = bundle("collection", json!([{ "resource": one }, put, {}, { "request": { "method": "DELETE" } }, 5]));
    let statuses: Vec<u16> =
        entries(&mixed).unwrap().iter().map(|entry| entry.as_ref().map_or_else(Rejection::status, |_| 0)).collect();
    assert_eq!(statuses, [0, 0, 400, 405, 400]);
    for (bundle, expected) in [
        (bundle("transaction", json!([{}])), (400, "value", "Bundle.type")),
        (bundle("batch", json!([])), (400, "structure", "Bundle.entry")),
        (bundle("batch", json!({})), (400, "structure", "Bundle.entry")),
        (bundle("batch", json!(vec![json!({}); MAX_ENTRIES + 1])), (413, "too-costly", "Bundle.entry")),
    ] {
        assert_eq!(facts(&entries(&bundle).unwrap_err()), expected);
    }
}
