use super::*;

const BASE: &str = "https://jhe.example/FHIR/R5";

fn parse(value: &Value) -> Result<Submission, Rejection> {
    Submission::parse_any_release("Condition", value, BASE)
}

#[test]
fn a_resource_is_of_r5() {
    let good =
        json!({ "resourceType": "Condition", "clinicalStatus": { "text": "active" }, "subject": { "display": "x" } });
    assert!(Submission::parse("Condition", &good, BASE).is_ok());
    for wrong in ["subject", "clinicalStatus"] {
        let mut resource = good.clone();
        resource.as_object_mut().unwrap().remove(wrong);
        assert!(parse(&resource).is_ok(), "{wrong}");
        assert_eq!(Submission::parse("Condition", &resource, BASE).unwrap_err().status(), 400, "{wrong}");
    }
    // Size and depth come first: what is checked is bounded.
    let mut large = good.clone();
    large["bananas"] = "x".repeat(1024 * 1024).into();
    assert_eq!(Submission::parse("Condition", &large, BASE).unwrap_err().status(), 413);
}

#[test]
fn a_resource_is_an_object_of_the_type_that_the_url_names() {
    for (value, status) in [
        (json!([]), 400),
        (json!("Condition"), 400),
        (json!({}), 400),
        (json!({ "resourceType": "Goal" }), 400),
        (json!({ "resourceType": "Condition", "id": "" }), 400),
        (json!({ "resourceType": "Condition", "id": "a b" }), 400),
        (json!({ "resourceType": "Condition", "id": "x".repeat(65) }), 400),
        (json!({ "resourceType": "Condition", "id": 7 }), 400),
        (json!({ "resourceType": "Condition", "meta": [] }), 400),
        (json!({ "resourceType": "Condition", "note": "a\u{0}b" }), 400),
        (json!({ "resourceType": "Condition", "a\u{0}": 1 }), 400),
        (json!({ "resourceType": "Condition", "note": "x".repeat(1024 * 1024) }), 413),
    ] {
        assert_eq!(parse(&value).unwrap_err().status(), status, "{value:.100}");
    }
    assert!(parse(&json!({ "resourceType": "Condition" })).is_ok());
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| {
        let inner = (0..levels).fold(json!(1), |inner, _| json!([inner]));
        json!({ "resourceType": "Condition", "x": inner })
    };
    assert!(parse(&nested(30)).is_ok());
    assert_eq!(parse(&nested(31)).unwrap_err().status(), 413);
}

#[test]
fn only_numbers_are_patients_of_ours() {
    for (reference, patient) in [
        ("Patient/40001", Some(40001)),
        ("https://jhe.example/FHIR/R5/Patient/40001", Some(40001)),
        ("https://other.example/FHIR/R5/Patient/40001", None),
        ("Patient/ehr-1", None),
        ("urn:uuid:94b6b4a8-d8a9-40e6-bb53-6bc4c441dc47", None),
        ("Group/40001", None),
    ] {
        for element in ["subject", "patient", "beneficiary"] {
            let value = json!({ "resourceType": "Condition", element: { "reference": reference } });
            assert_eq!(parse(&value).unwrap().patient, patient, "{element} {reference}");
        }
    }
    let two = json!({ "resourceType": "Condition", "subject": { "reference": "Patient/1" },
        "patient": { "reference": "Patient/2" } });
    assert_eq!(parse(&two).unwrap_err().status(), 400);
}

#[test]
fn what_is_known_elsewhere_is_not_kept_and_comes_back() {
    let value = json!({ "resourceType": "Condition", "id": "up-1", "code": { "text": "Asthma" }, "score": 1.00,
        "meta": { "source": format!("{SOURCE_BASE}90003"), "versionId": "9", "profile": ["p"] },
        "extension": [{ "url": PATIENT_ID, "valueInteger": 7 }, { "url": "https://x.example", "valueCode": "y" }] });
    let submission = parse(&value).unwrap();
    assert_eq!((submission.source, submission.upstream_id.as_deref()), (Some(90003), Some("up-1")));
    let stored = Stored {
        id: "94b6b4a8-d8a9-40e6-bb53-6bc4c441dc47",
        version: 2,
        last_updated: Timestamp::UNIX_EPOCH,
        source: 90001,
        patient: 40001,
        patient_name: "Peter Stevens",
        content: &submission.content,
    };
    let shown = render("Condition", &stored).unwrap();
    assert_eq!(
        shown,
        json!({ "resourceType": "Condition", "id": stored.id, "code": { "text": "Asthma" }, "score": 1.00,
            "meta": { "source": format!("{SOURCE_BASE}90001"), "versionId": "2",
                "lastUpdated": "1970-01-01T00:00:00Z", "profile": ["p"] },
            "extension": [{ "url": "https://x.example", "valueCode": "y" }, { "url": PATIENT_ID, "valueInteger": 40001 },
                { "url": PATIENT_NAME, "valueString": "Peter Stevens" }] })
    );
    assert!(render("Condition", &Stored { content: "[]", ..stored }).is_none());
}

#[test]
fn a_patch_names_what_changes() {
    let resource = json!({ "code": { "text": "Asthma", "coding": [1, 2] }, "note": "x" });
    let patch = json!({ "code": { "text": "Y" }, "note": null, "onset": "2020" });
    assert_eq!(patched(resource, &patch), json!({ "code": { "text": "Y", "coding": [1, 2] }, "onset": "2020" }));
}

#[test]
fn types_are_kept_mapped_or_unknown() {
    assert_eq!(kind("Condition").unwrap(), "Condition");
    assert_eq!(kind("Observation").unwrap_err().status(), 405);
    for unknown in ["condition", "Nonsense", "", "Condition/"] {
        assert_eq!(kind(unknown).unwrap_err().status(), 404, "{unknown}");
    }
}
