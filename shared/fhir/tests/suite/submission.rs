use fhir::observation::{Effective, ObservationStatus, Submission};
use serde_json::{Value, json};

use crate::support::{DATA, attachment, effective, facts, observation, with};

fn rejected(resource: &Value) -> (u16, &'static str, String) {
    let rejection = Submission::parse(resource).unwrap_err();
    let (status, code, expression) = facts(&rejection);
    (status, code, expression.to_owned())
}

#[test]
fn reads_the_smallest_observation() {
    let submission = Submission::parse(&observation()).unwrap();
    assert_eq!(submission.status, ObservationStatus::Final);
    assert_eq!(submission.code.system, "https://w3id.org/openmhealth");
    assert_eq!(submission.code.code, "omh:heart-rate:2.0");
    assert_eq!((submission.subject, submission.device), (40001, 70001));
    assert_eq!(attachment(&submission).bytes, br#"{"a":1}"#);
    assert_eq!(attachment(&submission).data_base64, DATA);
    assert_eq!(effective(&submission), None);
    assert!(submission.identifiers.is_empty());
}

#[test]
fn takes_every_status_and_no_other() {
    for status in ObservationStatus::ALL {
        let submission = Submission::parse(&with("/status", json!(status.as_str()))).unwrap();
        assert_eq!(submission.status, status);
    }
    for status in ["bogus", "Final", "final ", ""] {
        let expected = (400, "value", "Observation.status".to_owned());
        assert_eq!(rejected(&with("/status", json!(status))), expected, "{status:?}");
    }
}

#[test]
fn ignores_what_the_server_assigns() {
    let mut sent = with("/id", json!("anything"));
    sent["meta"] = json!({ "versionId": "7", "source": "https://elsewhere.example" });
    assert_eq!(Submission::parse(&sent), Submission::parse(&observation()));
}

#[test]
fn goes_by_the_first_coding_with_system_and_code() {
    let codings = json!([
        { "display": "words only" },
        { "code": "no-system" },
        { "system": "https://w3id.org/openmhealth", "code": "first" },
        { "system": "https://w3id.org/ieee1752", "code": "second" },
    ]);
    let submission = Submission::parse(&with("/code/coding", codings)).unwrap();
    let found = (submission.code.system.as_str(), submission.code.code.as_str());
    assert_eq!(found, ("https://w3id.org/openmhealth", "first"));
}

#[test]
fn names_the_missing_element() {
    let required = [
        "/resourceType",
        "/status",
        "/code",
        "/subject",
        "/subject/reference",
        "/device",
        "/device/reference",
        "/valueAttachment",
        "/valueAttachment/contentType",
        "/valueAttachment/data",
    ];
    for pointer in required {
        let (status, code, expression) = rejected(&with(pointer, Value::Null));
        let path = format!("Observation{}", pointer.replace('/', "."));
        // Without its only member the object is empty, and that is what is wrong.
        let emptied = ["/subject/reference", "/device/reference"].contains(&pointer);
        if emptied {
            let parent = path.strip_suffix(".reference").unwrap().to_owned();
            assert_eq!((status, code, expression), (400, "structure", parent));
        } else {
            assert_eq!((status, code, expression), (400, "required", path));
        }
    }
    let uncoded = with("/code", json!({ "text": "Heart rate" }));
    assert_eq!(rejected(&uncoded), (400, "required", "Observation.code.coding".to_owned()));
}

#[test]
fn loses_no_element_silently() {
    let not_kept = [
        ("/component", json!([{}]), "Observation.component"),
        ("/note", json!([{ "text": "x" }]), "Observation.note"),
        ("/performer", json!([]), "Observation.performer"),
        ("/valueQuantity", json!({}), "Observation.valueQuantity"),
        ("/effectiveInstant", json!("2025-01-01T00:00:00Z"), "Observation.effectiveInstant"),
        ("/contained", json!([]), "Observation.contained"),
        ("/_status", json!({ "id": "a" }), "Observation._status"),
        ("/subject/identifier", json!({ "value": "a" }), "Observation.subject.identifier"),
        ("/device/type", json!("Device"), "Observation.device.type"),
        ("/code/id", json!("a"), "Observation.code.id"),
        ("/code/coding", json!([{ "extension": [] }]), "Observation.code.coding[0].extension"),
        ("/identifier", json!([{ "value": "a", "type": {} }]), "Observation.identifier[0].type"),
        ("/valueAttachment/url", json!("https://a.example"), "Observation.valueAttachment.url"),
        ("/valueAttachment/pages", json!(1), "Observation.valueAttachment.pages"),
    ];
    for (pointer, value, path) in not_kept {
        assert_eq!(rejected(&with(pointer, value)), (400, "not-supported", path.to_owned()));
    }
    let unknown = [
        ("/bananas", "Observation.bananas"),
        ("/Status", "Observation.Status"),
        ("/subject/name", "Observation.subject.name"),
        ("/valueAttachment/bytes", "Observation.valueAttachment.bytes"),
    ];
    for (pointer, path) in unknown {
        assert_eq!(rejected(&with(pointer, json!("x"))), (400, "structure", path.to_owned()));
    }
}

#[test]
fn repeats_no_strange_name_and_no_value() {
    let strange = format!("/{}", "\u{1b}[31m".repeat(50));
    let rejection = Submission::parse(&with(&strange, json!(1))).unwrap_err();
    assert_eq!(rejection.to_string(), "Observation has an element that R5 does not define");
    let rejection = Submission::parse(&with("/status", json!("secret-value"))).unwrap_err();
    assert!(!rejection.outcome().to_json().contains("secret-value"));
}

#[test]
fn reads_references_to_our_resources_only() {
    let good = ["Patient/40001", "https://jhe.example/FHIR/R5/Patient/40001", "http://h:8000/Patient/40001"];
    for reference in good {
        let submission = Submission::parse(&with("/subject/reference", json!(reference))).unwrap();
        assert_eq!(submission.subject, 40001, "{reference}");
    }
    let bad = [
        "40001",
        "Device/40001",
        "patient/40001",
        "Patient/",
        "Patient/abc",
        "Patient/-1",
        "Patient/+1",
        "Patient/0",
        "Patient/040001",
        "Patient/2147483648",
        "Patient/40001/_history/1",
        "Patient/40001?x=1",
        " Patient/40001",
        "/Patient/40001",
        "#Patient/40001",
        "urn:uuid:Patient/40001",
        "https://h.example/NotPatient/40001",
        "https://h.example /Patient/40001",
        "ftp://h.example/Patient/40001",
        "Patient/٤٠٠٠١",
    ];
    for reference in bad {
        let expected = (400, "value", "Observation.subject.reference".to_owned());
        assert_eq!(rejected(&with("/subject/reference", json!(reference))), expected, "{reference}");
    }
}

#[test]
fn knows_references_to_another_server() {
    let at = |reference: &str| Submission::parse(&with("/device/reference", json!(reference))).unwrap();
    let base = "https://jhe.example/FHIR/R5";
    assert!(at("Device/70001").refers_only_to(base).is_ok());
    assert!(at("https://jhe.example/FHIR/R5/Device/70001").refers_only_to(&format!("{base}/")).is_ok());
    let rejection = at("https://other.example/FHIR/R5/Device/70001").refers_only_to(base).unwrap_err();
    assert_eq!(facts(&rejection), (400, "value", "Observation.device.reference"));
}

#[test]
fn checks_identifiers() {
    let identifiers = |value: Value| with("/identifier", value);
    let many = |count: usize| json!((0..count).map(|n| json!({ "value": n.to_string() })).collect::<Vec<_>>());
    assert_eq!(Submission::parse(&identifiers(many(20))).unwrap().identifiers.len(), 20);
    let same_value = json!([{ "value": "a" }, { "value": "a", "system": "urn:a" }]);
    assert_eq!(Submission::parse(&identifiers(same_value)).unwrap().identifiers.len(), 2);
    let bad = [
        (many(21), "value", "Observation.identifier"),
        (json!([{ "value": "a" }, { "value": "a" }]), "value", "Observation.identifier"),
        (json!([]), "structure", "Observation.identifier"),
        (json!({ "value": "a" }), "structure", "Observation.identifier"),
        (json!([{}]), "structure", "Observation.identifier[0]"),
        (json!([{ "value": "a" }, "b"]), "structure", "Observation.identifier[1]"),
        (json!([{ "system": "urn:a" }]), "required", "Observation.identifier[0].value"),
        (json!([{ "value": 7 }]), "structure", "Observation.identifier[0].value"),
        (json!([{ "value": "" }]), "value", "Observation.identifier[0].value"),
        (json!([{ "value": " \u{a0}" }]), "value", "Observation.identifier[0].value"),
        (json!([{ "value": "a\u{0}" }]), "value", "Observation.identifier[0].value"),
        (json!([{ "value": "a\nb" }]), "value", "Observation.identifier[0].value"),
        (json!([{ "value": "é".repeat(1001) }]), "value", "Observation.identifier[0].value"),
        (json!([{ "value": "a", "system": "has space" }]), "value", "Observation.identifier[0].system"),
        (json!([{ "value": "a", "use": "mine" }]), "value", "Observation.identifier[0].use"),
    ];
    for (value, code, path) in bad {
        assert_eq!(rejected(&identifiers(value)), (400, code, path.to_owned()));
    }
    assert!(Submission::parse(&identifiers(json!([{ "value": "é".repeat(1000) }]))).is_ok());
}

#[test]
fn reads_the_effective_time() {
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let instant = Submission::parse(&with("/effectiveDateTime", json!("2025-01-01T02:00:00.5+02:00"))).unwrap();
    assert_eq!(effective(&instant), Some(Effective::Instant(at("2025-01-01T00:00:00.5Z"))));
    assert!(instant.agrees_with(&Effective::Instant(at("2025-01-01T00:00:00.5Z"))).is_ok());
    let rejection = instant.agrees_with(&Effective::Instant(at("2025-01-01T00:00:00Z"))).unwrap_err();
    assert_eq!(facts(&rejection), (422, "business-rule", "Observation.effective"));
    assert!(
        Submission::parse(&observation()).unwrap().agrees_with(&Effective::Instant(at("2025-01-01T00:00:00Z"))).is_ok()
    );

    let night = json!({ "start": "2025-01-01T22:00:00Z", "end": "2025-01-02T06:00:00Z" });
    let period = Submission::parse(&with("/effectivePeriod", night)).unwrap();
    let expected = Effective::Period { start: at("2025-01-01T22:00:00Z"), end: at("2025-01-02T06:00:00Z") };
    assert_eq!(effective(&period), Some(expected));

    for text in [
        "2025",
        "2025-01-01",
        "2025-01-01T00:00:00",
        "2025-01-01T00:00Z",
        "2025-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2025-01-01T24:00:00Z",
        "2025-01-01T00:00:60Z",
        "2025-01-01T00:00:00+14:01",
        "2025-01-01T00:00:00.Z",
        "2025-01-01t00:00:00z",
    ] {
        let expected = (400, "value", "Observation.effectiveDateTime".to_owned());
        assert_eq!(rejected(&with("/effectiveDateTime", json!(text))), expected, "{text}");
        let expected = (400, "value", "Observation.issued".to_owned());
        assert_eq!(rejected(&with("/issued", json!(text))), expected, "{text}");
    }
    let backwards = json!({ "start": "2025-01-02T00:00:00Z", "end": "2025-01-01T00:00:00Z" });
    assert_eq!(
        rejected(&with("/effectivePeriod", backwards)),
        (400, "value", "Observation.effectivePeriod".to_owned())
    );
    let open = json!({ "start": "2025-01-02T00:00:00Z" });
    assert_eq!(
        rejected(&with("/effectivePeriod", open)),
        (400, "required", "Observation.effectivePeriod.end".to_owned())
    );
}
