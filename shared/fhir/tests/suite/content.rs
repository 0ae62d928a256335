use fhir::observation::{Effective, Place, Submission, write_resource, write_summary};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{observation, parsed, with};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn content(resource: &Value, effective: Option<Effective>) -> Value {
    parsed(&Submission::parse(resource).unwrap().content(Some("Heart rate"), effective.as_ref(), 10006))
}

#[test]
fn holds_what_was_sent_and_what_we_know() {
    let effective = Effective::Instant(at("2025-09-21T21:55:00+02:00"));
    let expected = json!({
        "status": "final",
        "code": { "coding": [{
            "system": "https://w3id.org/openmhealth", "code": "omh:heart-rate:2.0", "display": "Heart rate",
        }]},
        "effectiveDateTime": "2025-09-21T19:55:00Z",
        "subject": {
            "reference": "Patient/40001",
            "identifier": { "system": "https://jupyterhealth.org/fhir/identifier/jhe-user-id", "value": "10006" },
        },
        "device": { "reference": "Device/70001" },
        "valueAttachment": { "contentType": "application/json", "data": "eyJhIjoxfQ==" },
    });
    assert_eq!(content(&observation(), Some(effective)), expected);
}

#[test]
fn gives_back_every_kept_element() {
    let sent = [
        (
            "/identifier",
            json!([{ "use": "official", "system": "urn:a", "value": "a \"quoted\" \\ é 😀" }, { "value": "b" }]),
        ),
        (
            "/category",
            json!([{ "coding": [{ "system": "urn:c", "version": "1", "code": "two words", "userSelected": false }], "text": "C" }, { "text": "D" }]),
        ),
        ("/issued", json!("2025-01-01T08:00:00.120+02:00")),
        ("/code/text", json!("In words")),
        ("/device", json!({ "reference": "Device/70001", "display": "Watch" })),
        (
            "/valueAttachment",
            json!({
                "contentType": "application/json", "data": "eyJhIjoxfQ==", "language": "en-US", "title": "T",
                "creation": "2025-01", "size": "7", "hash": "n4nHQM60bXQYySSnisV5QdXpZSA=",
            }),
        ),
    ];
    for (pointer, value) in sent {
        assert_eq!(content(&with(pointer, value.clone()), None).pointer(pointer), Some(&value), "{pointer}");
    }
    let subject = json!({ "reference": "https://h.example/Patient/40001", "display": "P" });
    let subject = content(&with("/subject", subject), None);
    assert_eq!(subject.pointer("/subject/display"), Some(&json!("P")));
    assert_eq!(subject.pointer("/subject/reference"), Some(&json!("Patient/40001")));
}

#[test]
fn words_only_the_coding_it_goes_by_and_only_if_the_client_did_not() {
    const OMH: &str = "https://w3id.org/openmhealth";
    let codings = json!([{ "code": "x" }, { "system": OMH, "code": "a" }, { "system": "urn:b", "code": "b" }]);
    let worded = content(&with("/code/coding", codings), None);
    assert_eq!(worded.pointer("/code/coding/0/display"), None);
    assert_eq!(worded.pointer("/code/coding/1/display"), Some(&json!("Heart rate")));
    assert_eq!(worded.pointer("/code/coding/2/display"), None);
    let own = content(&with("/code/coding", json!([{ "system": OMH, "code": "a", "display": "Own" }])), None);
    assert_eq!(own.pointer("/code/coding/0/display"), Some(&json!("Own")));
}

#[test]
fn writes_periods_and_leaves_out_what_has_no_r5_form() {
    let night = Effective::Period { start: at("2025-01-01T22:00:00Z"), end: at("2025-01-02T06:00:00.25Z") };
    let expected = json!({ "start": "2025-01-01T22:00:00Z", "end": "2025-01-02T06:00:00.25Z" });
    assert_eq!(content(&observation(), Some(night)).get("effectivePeriod"), Some(&expected));
    let ancient = at("-000044-03-15T12:00:00Z");
    assert_eq!(content(&observation(), Some(Effective::Instant(ancient))).get("effectiveDateTime"), None);
    let ancient = Effective::Period { start: ancient, end: ancient };
    assert_eq!(content(&observation(), Some(ancient)).get("effectivePeriod"), None);
}

#[test]
fn a_stored_text_becomes_the_resource() {
    let stored = Submission::parse(&observation()).unwrap().content(None, None, 10006);
    let mut text = String::from("kept:");
    let place = Place { id: 60010, version: 1, last_updated: at("2026-11-21T19:00:53.679315Z"), source: None };
    write_resource(&mut text, &place, &stored);
    let start = r#"{"resourceType":"Observation","id":"60010","meta":{"versionId":"1","lastUpdated":"2026-11-21T19:00:53.679315Z","source":"https://jupyterhealth.org/jhe"},"status":"final","#;
    let resource = text.strip_prefix("kept:").unwrap();
    assert!(resource.starts_with(start), "{resource}");
    let mut expected = parsed(&stored);
    expected["resourceType"] = json!("Observation");
    expected["id"] = json!("60010");
    expected["meta"] = parsed(resource)["meta"].clone();
    assert_eq!(parsed(resource), expected);
    let mut brought = String::new();
    write_resource(&mut brought, &Place { source: Some(90003), ..place }, &stored);
    assert_eq!(parsed(&brought)["meta"]["source"], "https://jupyterhealth.org/fhir/fhir-source/90003");
}

#[test]
fn the_short_form_says_that_it_is_short() {
    let mut text = String::new();
    let submission = Submission::parse(&observation()).unwrap();
    let place = Place { id: 60010, version: 1, last_updated: at("2026-11-21T19:00:53Z"), source: Some(90003) };
    write_summary(&mut text, &place, &submission);
    let summary = parsed(&text);
    assert_eq!(summary["id"], "60010");
    assert_eq!(summary["meta"]["lastUpdated"], "2026-11-21T19:00:53Z");
    assert_eq!(summary["meta"]["tag"][0]["code"], "SUBSETTED");
    assert_eq!(summary["meta"]["source"], "https://jupyterhealth.org/fhir/fhir-source/90003");
    assert_eq!(summary["status"], "final");
    assert_eq!(summary["subject"], json!({ "reference": "Patient/40001" }));
    assert_eq!(summary["code"], observation()["code"]);
    assert_eq!(summary.get("valueAttachment"), None);
}
