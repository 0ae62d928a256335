//! `POST /FHIR/R5`: of a batch each entry has its own fate, of a transaction all are stored or none.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use end_to_end::{
    World, answer, ids,
    point::{blood_glucose, blood_pressure, bundle, heart_rate, observation},
    reply::{Reply, assert_outcome},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const BASE: &str = "/FHIR/R5";
const PETER: i32 = 40001;
const CAREX: i32 = 70001;
const AT: &str = "2026-02-01T08:00:00Z";

fn rate(identifier: &str) -> Value {
    observation(PETER, CAREX, &heart_rate(60, AT), identifier)
}

fn entry(method: &str, url: &str, resource: &Value) -> Value {
    json!({ "resource": resource, "request": { "method": method, "url": url } })
}

fn of(kind: &str, entries: &[Value]) -> Value {
    json!({ "resourceType": "Bundle", "type": kind, "entry": entries })
}

async fn post(world: &World, body: &Value) -> Reply {
    Reply::to(world.request("ll_patient_peter", Method::POST, BASE).json(body)).await
}

/// The entries that cannot be stored, and with which status each is answered.
fn bad_entries() -> Vec<(&'static str, u16, Value)> {
    let mut invalid = rate("");
    invalid["valueAttachment"]["data"] = json!(STANDARD.encode("{}"));
    let mut unknown_code = rate("");
    unknown_code["code"]["coding"][0]["code"] = json!("omh:unknown:1.0");
    let mut unknown_device = rate("");
    unknown_device["device"]["reference"] = json!("Device/79999");
    let never = observation(PETER, CAREX, &blood_glucose(95, AT), "");
    let other = observation(40002, CAREX, &heart_rate(60, AT), "");
    let mut conditional = entry("POST", "Observation", &rate(""));
    conditional["request"]["ifNoneExist"] = json!("identifier=a");
    let patient = json!({ "resourceType": "Patient" });
    let post = |resource: &Value| entry("POST", "Observation", resource);
    vec![
        ("an invalid data point", 422, post(&invalid)),
        ("an unknown code", 400, post(&unknown_code)),
        ("an unknown device", 400, post(&unknown_device)),
        ("never consented", 403, post(&never)),
        ("another patient", 403, post(&other)),
        ("a duplicate of the demo", 409, post(&duplicate_of_the_demo())),
        (
            "a bogus status",
            400,
            post(&{
                let mut bogus = rate("");
                bogus["status"] = json!("bogus");
                bogus
            }),
        ),
        ("PUT", 405, entry("PUT", "Observation/60001", &rate(""))),
        ("GET", 405, json!({ "request": { "method": "GET", "url": "Observation?patient=40001" } })),
        ("DELETE", 405, json!({ "request": { "method": "DELETE", "url": "Observation/60001" } })),
        ("another URL", 404, entry("POST", "Patient", &rate(""))),
        ("a URL that leads away", 404, entry("POST", "https://other.example/Observation", &rate(""))),
        ("another type", 400, entry("POST", "Observation", &patient)),
        ("a condition", 400, conditional),
        ("no resource", 400, json!({ "request": { "method": "POST", "url": "Observation" } })),
        ("no request", 400, json!({ "resource": rate("") })),
        ("an empty entry", 400, json!({})),
        ("null", 400, Value::Null),
        ("a text", 400, json!("Observation")),
    ]
}

fn duplicate_of_the_demo() -> Value {
    let mut duplicate = rate("");
    duplicate["identifier"] = json!([{ "system": "https://demo.example/observation", "value": "demo-0" }]);
    duplicate
}

/// The status of each entry of a batch's answer.
fn statuses(response: &Value) -> Vec<&str> {
    let entries = response["entry"].as_array().expect("entries").iter();
    entries.filter_map(|entry| entry["response"]["status"].as_str()).collect()
}

#[tokio::test]
async fn each_entry_of_a_batch_has_its_own_fate_in_order() {
    let world = World::new().await;
    let before = world.stored().await;
    let bad = bad_entries();
    // A good one before, between and after the bad ones.
    let mut entries = vec![entry("POST", "Observation", &rate("good-0"))];
    let mut expected = vec![("good", 201)];
    for (number, (what, status, entry_of)) in bad.iter().enumerate() {
        entries.push(entry_of.clone());
        expected.push((what, *status));
        entries.push(entry("POST", "Observation", &rate(&format!("good-{}", number + 1))));
        expected.push(("good", 201));
    }
    let reply = post(&world, &of("batch", &entries)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let response = reply.json();
    assert_eq!(response["type"], "batch-response");
    let answers = response["entry"].as_array().expect("entries");
    assert_eq!(answers.len(), expected.len());
    for (answer, (what, status)) in answers.iter().zip(&expected) {
        let line = answer["response"]["status"].as_str().expect("a status");
        assert!(line.starts_with(&status.to_string()), "{what}: {answer}");
        if *status == 201 {
            let id = answer["resource"]["id"].as_str().expect("an id");
            assert_eq!(answer["response"]["location"], format!("Observation/{id}"));
            assert_eq!(answer["response"]["etag"], "W/\"1\"");
            assert_eq!(answer["response"]["lastModified"], answer["resource"]["meta"]["lastUpdated"]);
        } else {
            assert_eq!(answer["resource"], Value::Null, "{what}");
            assert_outcome(&answer["response"]["outcome"], what);
        }
    }
    let good = i64::try_from(bad.len() + 1).expect("few");
    let after = world.stored().await;
    assert_eq!(after.observations, before.observations + good);
    assert_eq!(after.identifiers, before.identifiers + good);
    // The entries answer for what they sent: the n-th good one has the n-th identifier.
    for (number, id) in ids(&response).iter().filter(|id| !id.is_empty()).enumerate() {
        let (_, read) = world.get("ll_patient_peter", &format!("{BASE}/Observation/{id}")).await;
        assert_eq!(read["identifier"][0]["value"], format!("good-{number}"));
    }
}

#[tokio::test]
async fn a_transaction_with_one_bad_entry_stores_nothing_and_answers_why() {
    let world = World::new().await;
    let before = world.stored().await;
    for (what, status, bad) in bad_entries() {
        for position in 0..3 {
            let mut entries: Vec<Value> =
                (0..2).map(|n| entry("POST", "Observation", &rate(&format!("t-{n}")))).collect();
            entries.insert(position, bad.clone());
            let reply = post(&world, &of("transaction", &entries)).await;
            reply.refusal(status, what);
            assert_eq!(world.stored().await, before, "{what} at {position}");
        }
    }
    let good: Vec<Value> = (0..2).map(|n| rate(&format!("t-{n}"))).collect();
    let reply = post(&world, &bundle("transaction", &good)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    assert_eq!(reply.json()["type"], "transaction-response");
    assert_eq!(world.stored().await.observations, before.observations + 2);
}

#[tokio::test]
async fn one_identifier_twice_in_a_bundle_is_stored_once_or_not_at_all() {
    let world = World::new().await;
    let before = world.stored().await;
    let twice = [rate("twice"), rate("other"), rate("twice")];
    post(&world, &bundle("transaction", &twice)).await.refusal(409, "twice");
    assert_eq!(world.stored().await, before);
    let response = post(&world, &bundle("batch", &twice)).await.json();
    assert_eq!(statuses(&response), ["201 Created", "201 Created", "409 Conflict"]);
    assert_eq!(world.stored().await.observations, before.observations + 2);
    // The identifiers of one patient are no concern of another.
    let both = [rate("shared"), observation(40002, CAREX, &heart_rate(70, AT), "shared")];
    let (status, answer) = world.post("member_megan", BASE, &bundle("transaction", &both)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test]
async fn a_practitioner_uploads_for_several_patients_each_by_its_own_rule() {
    let world = World::new().await;
    world.record_consent(PETER, 30001, 50002, "withdrawn").await;
    let end = world.audit_end().await;
    let entries = [
        rate(""),
        observation(40002, CAREX, &blood_pressure(120, AT), ""),
        observation(PETER, CAREX, &blood_pressure(120, AT), ""),
        observation(40003, CAREX, &heart_rate(60, AT), ""),
        observation(40002, CAREX, &blood_glucose(95, AT), ""),
    ];
    let (status, response) = world.post("member_megan", BASE, &bundle("batch", &entries)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(statuses(&response), ["201 Created", "201 Created", "201 Created", "403 Forbidden", "403 Forbidden"]);
    // One record of what was written, and one for each reason of refusal.
    let mut events = world.audit_after(end).await;
    events.sort_by(|a, b| a.refused_by.cmp(&b.refused_by));
    let reasons: Vec<_> = events.iter().map(|event| event.refused_by.as_deref().unwrap_or_default()).collect();
    assert_eq!(reasons, ["", "consent", "organization"]);
    let created: Vec<i64> = ids(&response).iter().filter_map(|id| id.parse().ok()).collect();
    let mut written = events[0].observations.clone();
    written.sort_unstable();
    assert_eq!(written, created);
    assert_eq!((events[1].patients.as_slice(), events[2].patients.as_slice()), (&[40002][..], &[40003][..]));
}

#[tokio::test]
async fn what_is_no_batch_is_refused_whole() {
    let world = World::new().await;
    let before = world.stored().await;
    let good = entry("POST", "Observation", &rate("whole"));
    let cases = [
        ("an array", 400, json!([])),
        ("null", 400, Value::Null),
        ("nothing", 400, json!({})),
        ("another resource", 400, rate("")),
        ("no type", 400, json!({ "resourceType": "Bundle", "entry": [good] })),
        ("another type", 400, of("searchset", std::slice::from_ref(&good))),
        ("a type of another type", 400, json!({ "resourceType": "Bundle", "type": 1, "entry": [good] })),
        ("no entry", 400, json!({ "resourceType": "Bundle", "type": "batch" })),
        ("entry is null", 400, json!({ "resourceType": "Bundle", "type": "batch", "entry": null })),
        ("entry is an object", 400, json!({ "resourceType": "Bundle", "type": "batch", "entry": good })),
        ("no entries", 400, of("batch", &[])),
        ("an unknown element", 400, json!({ "resourceType": "Bundle", "type": "batch", "entry": [good], "mood": "x" })),
        ("1,001 entries", 413, of("batch", &vec![json!({}); 1001])),
    ];
    for (what, status, body) in cases {
        post(&world, &body).await.refusal(status, what);
    }
    let request =
        world.request("ll_patient_peter", Method::POST, BASE).header("content-type", "application/json").body("{");
    Reply::to(request).await.refusal(400, "half a bundle");
    let request = world
        .request("ll_patient_peter", Method::POST, BASE)
        .header("content-type", "application/xml")
        .body("<Bundle/>");
    Reply::to(request).await.refusal(415, "XML");
    let request = world.anonymous(Method::POST, BASE).json(&of("batch", &[good]));
    Reply::to(request).await.refusal(401, "anonymous");
    assert_eq!(world.stored().await, before);
}

#[tokio::test]
async fn a_thousand_entries_are_stored_in_one_request_at_both_spellings_of_the_base() {
    let world = World::new().await;
    let before = world.stored().await;
    let many: Vec<Value> = (0..1000).map(|number| rate(&format!("many-{number}"))).collect();
    let (status, response) =
        answer(world.request("ll_patient_peter", Method::POST, "/FHIR/R5/").json(&bundle("transaction", &many))).await;
    assert_eq!(status, StatusCode::OK, "{response}");
    assert_eq!(ids(&response).len(), 1000);
    let after = world.stored().await;
    assert_eq!(after.observations, before.observations + 1000);
    assert_eq!(after.feed, before.feed + 1000);
    let (status, _) = world.post("ll_patient_peter", "/FHIR/R5", &bundle("batch", &[rate("one-more")])).await;
    assert_eq!(status, StatusCode::OK);
    let (_, all) = world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001&_summary=count").await;
    assert_eq!(all["total"], 1003);
}
