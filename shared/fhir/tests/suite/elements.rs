//! Observations that say by FHIR's own elements what was observed.

use fhir::observation::{Brought, Said, Submission, named_source};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{facts, parsed};

fn glucose() -> Value {
    json!({
        "resourceType": "Observation",
        "status": "final",
        "code": { "coding": [{ "system": "http://loinc.org", "code": "2339-0" }] },
        "subject": { "reference": "Patient/40001" },
        "device": { "reference": "Device/70001" },
        "effectiveDateTime": "2026-02-01T08:00:00+01:00",
    })
}

fn with(members: &Value) -> Value {
    let mut resource = glucose();
    resource.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    resource
}

fn interval(resource: &Value) -> (Timestamp, Timestamp) {
    match Submission::parse(resource).unwrap().said {
        Said::Elements(elements) => elements.interval(),
        Said::DataPoint(..) => panic!("a data point"),
    }
}

#[test]
fn every_form_is_written_as_it_was_sent() {
    for members in [
        r#"{"valueQuantity":{"code":"mg/dL","comparator":"<","system":"http://unitsofmeasure.org","unit":"mg/dL","value":6.30}}"#,
        r#"{"valueQuantity":{"value":1.00e3}}"#,
        r#"{"valueString":"two\nlines"}"#,
        r#"{"valueBoolean":false}"#,
        r#"{"valueInteger":-7}"#,
        r#"{"valueTime":"23:59:59.5"}"#,
        r#"{"valueDateTime":"2026-02"}"#,
        r#"{"valuePeriod":{"end":"2026-02-02","start":"2026-02-01"}}"#,
        r#"{"valueRange":{"high":{"value":2},"low":{"value":1.50}}}"#,
        r#"{"valueRatio":{"denominator":{"value":128},"numerator":{"value":1}}}"#,
        r#"{"valueCodeableConcept":{"coding":[{"code":"A","system":"https://a.example"}],"text":"Positive"}}"#,
        r#"{"valueSampledData":{"data":"2.04 -1 E U L 1e3","dimensions":1,"interval":10.0,"intervalUnit":"ms","origin":{"value":0}}}"#,
        r#"{"dataAbsentReason":{"text":"Not asked"}}"#,
        r#"{"component":[{"code":{"text":"Systolic"},"valueQuantity":{"value":120.0}},{"code":{"text":"Diastolic"},"dataAbsentReason":{"text":"error"}}]}"#,
        r#"{"valueInteger":5,"interpretation":[{"text":"High"}],"note":[{"text":"after\tlunch"}],"bodySite":{"text":"Arm"},"method":{"text":"Strip"},"referenceRange":[{"appliesTo":[{"text":"Adults"}],"high":{"value":5.40}}]}"#,
        r#"{"valueAttachment":{"contentType":"image/png","data":"iVBORw0="}}"#,
    ] {
        let submission =
            Submission::parse(&with(&parsed(members))).unwrap_or_else(|error| panic!("{members}: {error}"));
        let content = submission.content(Some("Glucose"), None, 10006);
        for (name, value) in parsed(members).as_object().unwrap() {
            assert!(content.contains(&format!("\"{name}\":{value}")), "{members}: {content}");
        }
        let content = parsed(&content);
        assert_eq!(content["effectiveDateTime"], "2026-02-01T08:00:00+01:00");
        assert_eq!(content["code"]["coding"][0]["display"], "Glucose");
        assert_eq!(content["subject"]["identifier"]["value"], "10006");
    }
}

#[test]
fn what_r5_forbids_or_is_not_kept_is_refused_with_its_place() {
    for (members, status, expression) in [
        (json!({}), 400, "Observation.value"),
        (json!({ "note": [{ "text": "x" }] }), 400, "Observation.value"),
        (json!({ "valueInteger": 1, "valueString": "x" }), 400, "Observation.value"),
        (json!({ "valueInteger": 1, "dataAbsentReason": { "text": "x" } }), 400, "Observation.value"),
        (json!({ "valueInteger": 1.5 }), 400, "Observation.valueInteger"),
        (json!({ "valueInteger": "1" }), 400, "Observation.valueInteger"),
        (json!({ "valueBoolean": "true" }), 400, "Observation.valueBoolean"),
        (json!({ "valueString": " " }), 400, "Observation.valueString"),
        (json!({ "valueString": "a\u{0}" }), 400, "Observation.valueString"),
        (json!({ "valueString": null }), 400, "Observation.valueString"),
        (json!({ "valueTime": "24:00:00" }), 400, "Observation.valueTime"),
        (json!({ "valueTime": "8:00" }), 400, "Observation.valueTime"),
        (json!({ "valueDateTime": "yesterday" }), 400, "Observation.valueDateTime"),
        (json!({ "valueQuantity": {} }), 400, "Observation.valueQuantity"),
        (json!({ "valueQuantity": { "value": "6.3" } }), 400, "Observation.valueQuantity.value"),
        (json!({ "valueQuantity": { "value": 1, "code": "mg" } }), 400, "Observation.valueQuantity"),
        (json!({ "valueQuantity": { "value": 1, "comparator": "~" } }), 400, "Observation.valueQuantity.comparator"),
        (json!({ "valueQuantity": { "value": 1, "extension": [] } }), 400, "Observation.valueQuantity.extension"),
        (
            json!({ "valueRange": { "low": { "value": 1, "comparator": "<" } } }),
            400,
            "Observation.valueRange.low.comparator",
        ),
        (json!({ "valueRatio": { "numerator": { "value": 1 } } }), 400, "Observation.valueRatio.denominator"),
        (json!({ "valuePeriod": { "start": "2026-02-02", "end": "2026-02-01" } }), 400, "Observation.valuePeriod"),
        (
            json!({ "valueSampledData": { "origin": { "value": 0 }, "intervalUnit": "ms", "dimensions": 0, "interval": 1 } }),
            400,
            "Observation.valueSampledData.dimensions",
        ),
        (json!({ "component": [] }), 400, "Observation.component"),
        (json!({ "component": [{ "valueInteger": 1 }] }), 400, "Observation.component[0].code"),
        (
            json!({ "component": [{ "code": { "text": "x" }, "valueInteger": 1, "valueString": "y" }] }),
            400,
            "Observation.component[0]",
        ),
        (
            json!({ "valueInteger": 1, "referenceRange": [{ "type": { "text": "x" } }] }),
            400,
            "Observation.referenceRange[0]",
        ),
        (json!({ "valueInteger": 1, "note": vec![json!({ "text": "x" }); 101] }), 413, "Observation.note"),
        (json!({ "valueInteger": 1, "performer": [{ "reference": "Practitioner/1" }] }), 400, "Observation.performer"),
        (json!({ "valueInteger": 1, "contained": [] }), 400, "Observation.contained"),
        (json!({ "valueInteger": 1, "effectiveInstant": "2026-02-01T08:00:00Z" }), 400, "Observation.effective"),
        (
            json!({ "valueAttachment": { "contentType": "image/png", "data": "%" } }),
            400,
            "Observation.valueAttachment.data",
        ),
        (
            json!({ "valueAttachment": { "contentType": "image", "data": "iVBORw0=" } }),
            400,
            "Observation.valueAttachment.contentType",
        ),
    ] {
        let rejection = Submission::parse(&with(&members)).expect_err(&members.to_string());
        assert_eq!((facts(&rejection).0, facts(&rejection).2), (status, expression), "{members}");
    }
}

#[test]
fn the_time_is_that_of_the_observation_or_of_its_issue() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    for (members, start, end) in [
        (json!({ "effectiveDateTime": "2026-02-01T08:00:00+01:00" }), "2026-02-01T07:00:00Z", "2026-02-01T07:00:00Z"),
        (json!({ "effectiveDateTime": "2026-02-01" }), "2026-02-01T00:00:00Z", "2026-02-01T23:59:59.999999Z"),
        (json!({ "effectiveDateTime": "2026" }), "2026-01-01T00:00:00Z", "2026-12-31T23:59:59.999999Z"),
        (json!({ "effectiveInstant": "2026-02-01T08:00:00.5Z" }), "2026-02-01T08:00:00.5Z", "2026-02-01T08:00:00.5Z"),
        (
            json!({ "effectivePeriod": { "start": "2026-02-01", "end": "2026-02-03T12:00:00Z" } }),
            "2026-02-01T00:00:00Z",
            "2026-02-03T12:00:00Z",
        ),
        (json!({ "issued": "2026-02-01T08:00:00Z" }), "2026-02-01T08:00:00Z", "2026-02-01T08:00:00Z"),
    ] {
        let mut resource = with(&json!({ "valueInteger": 1 }));
        resource.as_object_mut().unwrap().remove("effectiveDateTime");
        resource.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        assert_eq!(interval(&resource), (at(start), at(end)), "{members}");
    }
    for members in [
        json!({}),
        json!({ "effectiveDateTime": "9999-12-31" }),
        json!({ "effectivePeriod": { "start": "2026-02-02", "end": "2026-02-01" } }),
        json!({ "effectivePeriod": { "start": "2026-02-02" } }),
        json!({ "effectiveDateTime": "2026-02-01T08:00" }),
    ] {
        let mut resource = with(&json!({ "valueInteger": 1 }));
        resource.as_object_mut().unwrap().remove("effectiveDateTime");
        resource.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        assert!(Submission::parse(&resource).is_err(), "{members}");
    }
}

#[test]
fn it_goes_by_the_coding_that_others_know() {
    for (codings, code) in [
        (
            json!([{ "system": "urn:oid:1.2.3", "code": "7" }, { "system": "http://loinc.org", "code": "2339-0" }]),
            "2339-0",
        ),
        (json!([{ "system": "urn:oid:1.2.3", "code": "7" }]), "7"),
        (json!([{ "system": "http://loinc.org" }, { "system": "urn:oid:1.2.3", "code": "7" }]), "7"),
        (json!([{ "system": "http://loinc.org", "code": "a" }, { "system": "http://loinc.org", "code": "b" }]), "a"),
    ] {
        let submission =
            Submission::parse(&with(&json!({ "valueInteger": 1, "code": { "coding": codings } }))).unwrap();
        assert_eq!(submission.code.code, code);
    }
    // A data point is one wherever its code stands, so that its schema is never passed by.
    let both = json!([{ "system": "urn:oid:1.2.3", "code": "7" }, { "system": "https://w3id.org/openmhealth", "code": "omh:heart-rate:2.0" }]);
    let rejection = Submission::parse(&with(&json!({ "valueInteger": 1, "code": { "coding": both } }))).unwrap_err();
    assert_eq!(facts(&rejection), (400, "not-supported", "Observation.valueInteger"));
    let of_type = json!({ "coding": [{ "system": "http://hl7.org/fhir/resource-types", "code": "Condition" }] });
    let rejection = Submission::parse(&with(&json!({ "valueInteger": 1, "code": of_type }))).unwrap_err();
    assert_eq!(facts(&rejection), (400, "value", "Observation.code"));
}

#[test]
fn one_of_a_source_is_of_its_patient_and_has_its_id_as_an_identifier() {
    let brought = Brought { patient: 40001, device: 70005, base_url: "https://ehr.example/R4/" };
    let mut sent = with(&json!({ "valueInteger": 1, "id": "abc-1", "subject": { "reference": "Patient/e9" } }));
    sent.as_object_mut().unwrap().remove("device");
    assert_eq!(named_source(&sent), Ok(None));
    sent["meta"] = json!({ "source": "https://jupyterhealth.org/fhir/fhir-source/90003" });
    assert_eq!(named_source(&sent), Ok(Some(90003)));
    let own = brought.adopt(&sent, "https://jhe.example/FHIR/R5").unwrap();
    let submission = Submission::parse(&own).unwrap();
    assert_eq!((submission.subject, submission.device), (40001, 70005));
    assert_eq!(own["identifier"], json!([{ "system": "https://ehr.example/R4/Observation", "value": "abc-1" }]));
    let mut named = sent.clone();
    named["device"] = json!({ "reference": "Device/70001" });
    let own = brought.adopt(&named, "https://jhe.example/FHIR/R5").unwrap();
    assert_eq!(Submission::parse(&own).unwrap().device, 70001, "the device that it names");
    for another in ["Patient/40002", "https://jhe.example/FHIR/R5/Patient/40002"] {
        sent["subject"] = json!({ "reference": another });
        assert!(brought.adopt(&sent, "https://jhe.example/FHIR/R5").is_err(), "{another}");
    }
}
