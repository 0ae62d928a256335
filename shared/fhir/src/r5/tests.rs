use serde_json::{Value, json};

use super::check;

/// A condition with a bit of everything.
fn condition() -> Value {
    json!({
        "resourceType": "Condition", "id": "c1", "language": "en", "implicitRules": "https://x.example/rules",
        "meta": { "profile": ["https://x.example/p"], "tag": [{ "system": "https://x.example", "code": "t" }] },
        "text": { "status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">Asthma</div>" },
        "contained": [{ "resourceType": "Practitioner", "id": "p1", "name": [{ "given": ["A", null],
            "_given": [null, { "extension": [{ "url": "https://x.example/e", "valueCode": "unknown" }] }] }] }],
        "extension": [{ "url": "https://x.example/e", "valueQuantity": { "value": 1.00, "comparator": "<" } }],
        "clinicalStatus": { "coding": [{ "code": "active" }] },
        "subject": { "reference": "Patient/ehr-1" }, "onsetAge": { "value": 52, "unit": "a" },
        "recordedDate": "2026-02", "_recordedDate": { "id": "x" },
        "participant": [{ "actor": { "reference": "#p1" } }],
        "stage": [{ "summary": { "text": "II" }, "type": { "text": "clinical" } }],
    })
}

/// What is wrong with the condition once members are changed: the code and the expression.
fn changed(changes: &[(&str, Value)]) -> Result<(), (&'static str, String)> {
    let mut resource = condition();
    for (pointer, value) in changes {
        let (above, name) = pointer.rsplit_once('/').unwrap();
        let place = resource.pointer_mut(above).unwrap();
        match (value, place) {
            (Value::Null, Value::Object(members)) => drop(members.remove(name)),
            (value, place) => place[name] = value.clone(),
        }
    }
    check("Condition", &resource)
        .map_err(|rejection| (rejection.code().as_str(), rejection.expression().unwrap_or_default().to_owned()))
}

#[test]
fn what_r5_defines_is_taken() {
    assert_eq!(changed(&[]), Ok(()));
    let response = json!({ "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "Questionnaire/q",
        "item": [{ "linkId": "a", "item": [{ "linkId": "b", "answer": [{ "valueInteger": 37, "item": [
            { "linkId": "c", "answer": [{ "valueCoding": { "code": "x" } }] }] }] }] }] });
    assert_eq!(check("QuestionnaireResponse", &response), Ok(()));
}

#[test]
fn an_element_that_r5_does_not_define_is_refused_by_its_path() {
    for (pointer, expression) in [
        ("/bananas", "Condition.bananas"),
        ("/subject/bananas", "Condition.subject.bananas"),
        ("/stage/0/bananas", "Condition.stage[0].bananas"),
        ("/contained/0/bananas", "Condition.contained[0].bananas"),
        ("/subject/resourceType", "Condition.subject.resourceType"),
        ("/onset", "Condition.onset"),
        ("/onsetBananas", "Condition.onsetBananas"),
        ("/onsetage", "Condition.onsetage"),
        ("/_subject", "Condition._subject"),
        ("/Subject", "Condition.Subject"),
    ] {
        assert_eq!(changed(&[(pointer, json!("x"))]), Err(("structure", expression.to_owned())), "{pointer}");
    }
    // What cannot be repeated safely is not.
    assert_eq!(changed(&[("/a b", json!(1))]), Err(("structure", "Condition".to_owned())));
}

#[test]
fn there_are_as_many_as_r5_says() {
    for (pointer, value, code, expression) in [
        ("/subject", Value::Null, "required", "Condition.subject"),
        ("/clinicalStatus", Value::Null, "required", "Condition.clinicalStatus"),
        ("/participant/0/actor", json!([{ "display": "A" }]), "structure", "Condition.participant[0].actor"),
        ("/extension/0/url", Value::Null, "required", "Condition.extension[0].url"),
        ("/extension", json!({ "url": "https://x.example" }), "structure", "Condition.extension"),
        ("/stage", json!([]), "structure", "Condition.stage"),
        ("/stage/0", json!({}), "structure", "Condition.stage[0]"),
        ("/code", json!({}), "structure", "Condition.code"),
        ("/onsetString", json!("at birth"), "structure", "Condition.onset"),
        ("/recordedDate", json!(["2026"]), "structure", "Condition.recordedDate"),
        ("/contained/0/name/0/given", json!(["A"]), "structure", "Condition.contained[0].name[0]._given"),
        ("/contained/0/name/0/given", json!([null, null]), "structure", "Condition.contained[0].name[0]._given[0]"),
    ] {
        let mut changes = vec![(pointer, value)];
        if pointer == "/stage/0" {
            changes = vec![("/stage", json!([{}]))];
        }
        assert_eq!(changed(&changes), Err((code, expression.to_owned())), "{pointer}");
    }
    let answer = json!({ "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "q",
        "item": [{ "linkId": "a", "answer": [{ "id": "x" }] }] });
    let rejection = check("QuestionnaireResponse", &answer).unwrap_err();
    assert_eq!(rejection.expression(), Some("QuestionnaireResponse.item[0].answer[0].value"));
}

#[test]
fn an_extension_stands_for_a_value_that_is_absent() {
    let absent = json!({ "extension": [{ "url": "https://x.example/absent", "valueCode": "unknown" }] });
    let response = json!({ "resourceType": "QuestionnaireResponse", "_status": absent, "_questionnaire": absent });
    assert_eq!(check("QuestionnaireResponse", &response), Ok(()));
}

#[test]
fn values_are_of_their_types() {
    for (pointer, value, code) in [
        ("/recordedDate", json!(2026), "structure"),
        ("/recordedDate", json!(true), "structure"),
        ("/recordedDate", json!("2026-13"), "value"),
        ("/recordedDate", json!("2026-02-01T08:00"), "value"),
        ("/subject", json!("Patient/1"), "structure"),
        ("/subject/reference", json!(""), "value"),
        ("/onsetAge/value", json!("52"), "structure"),
        ("/extension/0/valueQuantity/comparator", json!("?"), "value"),
        ("/text/status", json!("made"), "value"),
        ("/text/div", json!("<script/>"), "value"),
        ("/contained/0/resourceType", json!("Bananas"), "value"),
        ("/contained/0/id", json!("a b"), "value"),
        ("/contained/0/gender", json!("x"), "value"),
        ("/contained/0/birthDate", json!("2026-02-01T08:00:00Z"), "value"),
        ("/contained/0/active", json!("true"), "structure"),
    ] {
        assert_eq!(changed(&[(pointer, value.clone())]).unwrap_err().0, code, "{pointer} {value}");
    }
    for (name, good, bad) in [
        ("Base64Binary", json!(["YQ==", "YW\nJj"]), json!(["", "YQ", "YQ=", "a-b_", "Y=Q="])),
        ("Boolean", json!([true]), json!(["true", 1, null])),
        ("Canonical", json!(["https://x.example/q|1"]), json!(["", "a b"])),
        ("Code", json!(["a", "a b"]), json!(["", " a", "a  b", "a\tb"])),
        ("Date", json!(["2026", "2026-02", "2026-02-28"]), json!(["2026-02-30", "26", "2026-02-28T00:00:00Z"])),
        ("DateTime", json!(["2026", "2026-02-28T24:00:00Z".replace("24", "23")]), json!(["2026-02-28T08:00Z", "now"])),
        ("Decimal", json!([1, 1.5, -0.25]), json!(["1", "x", true])),
        ("Id", json!(["a-1.B"]), json!(["", "a_b", "x".repeat(65)])),
        ("Instant", json!(["2026-02-28T08:00:00.5+01:00"]), json!(["2026-02-28", "2026-02-28T08:00:00"])),
        ("Integer", json!([0, -1, 2_147_483_647]), json!([2_147_483_648_i64, 1.5, "1"])),
        ("Integer64", json!(["9007199254740993", 1]), json!(["x", 1.5, "9223372036854775808", true])),
        ("Markdown", json!(["a\n\nb"]), json!(["", " ", "a\u{1}"])),
        ("Oid", json!(["urn:oid:1.2.3"]), json!(["1.2.3", "urn:oid:3.1", "urn:oid:1.02", "urn:oid:1"])),
        ("PositiveInt", json!([1]), json!([0, -1, 1.5])),
        ("String", json!(["a"]), json!(["", "\n", 1, ["a"]])),
        ("Time", json!(["08:00:00", "08:00:00.5"]), json!(["8:00", "24:00:00", "08:00:00Z"])),
        ("UnsignedInt", json!([0]), json!([-1])),
        ("Uri", json!(["urn:x"]), json!(["", " "])),
        (
            "Uuid",
            json!(["urn:uuid:94b6b4a8-d8a9-40e6-bb53-6bc4c441dc47"]),
            json!(["94b6b4a8-d8a9-40e6-bb53-6bc4c441dc47"]),
        ),
    ] {
        let extended = |value: &Value| json!({ "url": "https://x.example", format!("value{name}"): value });
        for value in good.as_array().unwrap() {
            assert_eq!(changed(&[("/extension", json!([extended(value)]))]), Ok(()), "{name} {value}");
        }
        for value in bad.as_array().unwrap() {
            assert!(changed(&[("/extension", json!([extended(value)]))]).is_err(), "{name} {value}");
        }
    }
}

#[test]
fn what_is_told_repeats_no_value() {
    let secret = "very-secret";
    for pointer in ["/recordedDate", "/text/status", "/contained/0/resourceType", "/onsetAge", "/stage", "/code"] {
        let mut resource = condition();
        let (above, name) = pointer.rsplit_once('/').unwrap();
        resource.pointer_mut(above).unwrap()[name] = json!(secret);
        let rejection = check("Condition", &resource).unwrap_err();
        assert!(!rejection.outcome().to_json().contains(secret), "{pointer}");
    }
}
