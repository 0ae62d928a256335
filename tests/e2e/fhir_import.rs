//! `POST /fhir-import/R4` and `/fhir-import/R4/{type}`: resources of R4, stored by the rule of an upload.

use end_to_end::{World, reply::Reply};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PATH: &str = "/fhir-import/R4";

/// A world in which Peter has a FHIR Source, and consents to glucose of LOINC and to conditions: with the source.
async fn world() -> (World, String) {
    let world = World::new().await;
    let source = json!({ "label": "EHR", "dataSource": 70005, "fhirBaseUrl": "https://ehr.example/R4" });
    let (_, source) = world.post("ll_patient_peter", "/api/v1/fhir_sources", &source).await;
    for (system, code) in [("http://loinc.org", "2339-0"), ("http://hl7.org/fhir/resource-types", "Condition")] {
        let scope = json!({ "codingSystem": system, "codingCode": code, "text": code });
        let (_, scope) = world.post("admin", "/api/v1/data_sources/all_scopes", &scope).await;
        let ask = json!({ "scopeCodeId": scope["id"] });
        world.post("manager_mary", "/api/v1/studies/30001/scope_requests", &ask).await;
        let grant = json!({ "studyScopeConsents": [{ "studyId": 30001, "scopeConsents": [{
            "codingSystem": system, "codingCode": code, "consented": true }] }] });
        let (status, answer) =
            world.send("ll_patient_peter", Method::PATCH, "/api/v1/patients/40001/consents", &grant).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    (world, source["id"].to_string())
}

fn glucose(id: &str) -> Value {
    json!({ "resourceType": "Observation", "id": id, "status": "final",
        "code": { "coding": [{ "system": "urn:oid:1.2.840.114350.1", "code": "1" }, { "system": "http://loinc.org", "code": "2339-0" }] },
        "subject": { "reference": "Patient/e9" }, "encounter": { "reference": "Encounter/e1" },
        "effectiveDateTime": "2026-02-01", "valueQuantity": { "value": 90, "unit": "mg/dL" } })
}

fn condition(id: &str) -> Value {
    json!({ "resourceType": "Condition", "id": id, "subject": { "reference": "Patient/e9" }, "code": { "text": "Asthma" } })
}

fn bundle(resources: &[Value]) -> Value {
    let entries: Vec<Value> = resources.iter().map(|resource| json!({ "resource": resource })).collect();
    json!({ "resourceType": "Bundle", "type": "collection", "entry": entries })
}

async fn send(world: &World, user: &str, path: &str, source: &str, body: &Value) -> Reply {
    Reply::to(world.request(user, Method::POST, path).header("X-JHE-FHIR-Source-ID", source).json(body)).await
}

/// Sends what is accepted as a whole: the entries of the answer.
async fn entries(world: &World, user: &str, source: &str, body: &Value) -> Vec<Value> {
    let reply = send(world, user, PATH, source, body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let answer = reply.json();
    assert_eq!((&answer["resourceType"], &answer["type"]), (&json!("Bundle"), &json!("batch-response")));
    let entries = answer["entry"].as_array().expect("entries").clone();
    for entry in &entries {
        end_to_end::reply::assert_outcome(&entry["response"]["outcome"], "each entry has an outcome");
    }
    entries
}

fn statuses(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["response"]["status"].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn each_entry_has_its_own_fate_and_an_outcome() {
    let (world, source) = world().await;
    let before = world.stored().await;
    let body = bundle(&[
        glucose("o1"),
        condition("c1"),
        json!({ "resourceType": "Goal", "id": "g1" }),
        json!({ "resourceType": "Patient", "id": "e9" }),
        json!({ "resourceType": "Bananas" }),
        json!(null),
        glucose("o1"),
    ]);
    let entries = entries(&world, "ll_patient_peter", &source, &body).await;
    assert_eq!(
        statuses(&entries),
        [
            "201 Created",
            "201 Created",
            "403 Forbidden",
            "405 Method Not Allowed",
            "404 Not Found",
            "400 Bad Request",
            "409 Conflict"
        ]
    );
    let stored = &entries[0]["resource"];
    assert_eq!(stored["subject"]["reference"], "Patient/40001");
    assert_eq!(stored["device"]["reference"], "Device/70005");
    assert_eq!(stored["identifier"], json!([{ "system": "https://ehr.example/R4/Observation", "value": "o1" }]));
    assert!(stored.get("encounter").is_none());
    let told = &entries[0]["response"]["outcome"]["issue"][0];
    assert_eq!((&told["severity"], &told["expression"][0]), (&json!("warning"), &json!("Observation.encounter")));
    assert_eq!(entries[1]["resource"]["clinicalStatus"]["coding"][0]["code"], "unknown");
    assert_eq!(entries[1]["response"]["outcome"]["issue"][0]["expression"][0], "Condition.clinicalStatus");
    assert_eq!(world.stored().await.observations, before.observations + 1);
    for place in [&entries[0], &entries[1]] {
        let path = format!("/FHIR/R5/{}", place["response"]["location"].as_str().expect("a place"));
        assert_eq!(world.get("viewer_victor", &path).await.0, StatusCode::OK, "the study sees it: {path}");
        assert_eq!(world.get("manager_mark", &path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn what_comes_again_is_not_there_twice() {
    let (world, source) = world().await;
    let body = bundle(&[glucose("o1"), condition("c1")]);
    assert_eq!(statuses(&entries(&world, "ll_patient_peter", &source, &body).await), ["201 Created", "201 Created"]);
    let before = world.stored().await;
    assert_eq!(statuses(&entries(&world, "ll_patient_peter", &source, &body).await), ["409 Conflict", "200 OK"]);
    assert_eq!(world.stored().await.observations, before.observations);
    assert_eq!(world.count("SELECT count(*) FROM auxiliary WHERE upstream_id = 'c1' AND version = 2").await, 1);
}

#[tokio::test]
async fn the_rule_of_an_upload_decides_for_each_entry() {
    let (world, source) = world().await;
    let body = bundle(&[glucose("o1"), condition("c1")]);
    let before = world.stored().await;
    for (user, layer) in [
        ("ll_patient_pamela", "user_type"),
        ("admin", "user_type"),
        ("manager_mark", "organization"),
        ("viewer_victor", "role"),
    ] {
        let entries = entries(&world, user, &source, &body).await;
        assert_eq!(statuses(&entries), ["403 Forbidden", "403 Forbidden"], "{user}");
        let rows = world
            .sql("SELECT refused_by, resource_type FROM audit_event WHERE outcome = 'denied' ORDER BY id DESC LIMIT 2")
            .await;
        let layers: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(layers, [layer, layer], "{user}");
    }
    assert_eq!(world.stored().await.observations, before.observations);
    assert_eq!(statuses(&entries(&world, "member_megan", &source, &body).await), ["201 Created", "201 Created"]);
    // The source of another patient, and one that does not exist, are one to a stranger.
    let known = send(&world, "ll_patient_pamela", PATH, &source, &glucose("o2")).await;
    let unknown = send(&world, "ll_patient_pamela", PATH, "99999", &glucose("o2")).await;
    assert_eq!(known.json(), unknown.json());
    // A patient of this exchange that is not the source's.
    let mut another = glucose("o3");
    another["subject"] = json!({ "reference": "Patient/40002" });
    assert_eq!(statuses(&entries(&world, "ll_patient_peter", &source, &another).await), ["400 Bad Request"]);
}

#[tokio::test]
async fn consent_taken_back_hides_what_was_brought() {
    let (world, source) = world().await;
    let entries = entries(&world, "ll_patient_peter", &source, &glucose("o1")).await;
    let path = format!("/FHIR/R5/{}", entries[0]["response"]["location"].as_str().expect("a place"));
    assert_eq!(world.get("viewer_victor", &path).await.0, StatusCode::OK);
    let take_back = json!({ "studyScopeConsents": [{ "studyId": 30001, "scopeConsents": [{
        "codingSystem": "http://loinc.org", "codingCode": "2339-0", "consented": false }] }] });
    world.send("ll_patient_peter", Method::PATCH, "/api/v1/patients/40001/consents", &take_back).await;
    assert_eq!(world.get("viewer_victor", &path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get("ll_patient_peter", &path).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_is_no_import_is_refused_as_a_whole() {
    let (world, source) = world().await;
    for (path, body, status) in [
        (PATH, json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{}] }), 400),
        (PATH, json!({ "resourceType": "Bundle", "type": "batch" }), 400),
        (PATH, json!({ "resourceType": "Bundle", "type": "batch", "entry": vec![json!({}); 201] }), 413),
        ("/fhir-import/R4/Bananas", json!({ "resourceType": "Bananas" }), 404),
        ("/fhir-import/R4/Patient", json!({ "resourceType": "Patient" }), 405),
        ("/fhir-import/R4/Goal", condition("c1"), 400),
        (PATH, json!({ "resourceType": "Bananas" }), 404),
        (PATH, json!({}), 400),
    ] {
        send(&world, "ll_patient_peter", path, &source, &body).await.refusal(status, path);
    }
    let path = "/fhir-import/R4/Goal";
    let wrong = send(&world, "ll_patient_peter", path, &source, &bundle(&[condition("c1")])).await;
    assert_eq!(wrong.json()["entry"][0]["response"]["status"], "400 Bad Request");
    let request =
        world.request("ll_patient_peter", Method::POST, PATH).json(&bundle(&[glucose("o1"), condition("c1")]));
    let answer = Reply::to(request).await.json();
    for entry in answer["entry"].as_array().expect("entries") {
        assert_eq!(entry["response"]["status"], "400 Bad Request", "no source is named");
    }
}

#[tokio::test]
async fn what_is_not_r5_is_kept_and_its_outcome_says_so() {
    let (world, source) = world().await;
    let mut sent = condition("c1");
    sent["recorder"] = json!({ "reference": "Practitioner/e2" });
    let entries = entries(&world, "ll_patient_peter", &source, &sent).await;
    assert_eq!(statuses(&entries), ["201 Created"]);
    let issues = entries[0]["response"]["outcome"]["issue"].as_array().expect("issues");
    let told: Vec<_> = issues.iter().map(|issue| (&issue["severity"], &issue["expression"][0])).collect();
    assert_eq!(
        told,
        [(&json!("warning"), &json!("Condition.clinicalStatus")), (&json!("warning"), &json!("Condition.recorder"))]
    );
    let path = format!("/FHIR/R5/{}", entries[0]["response"]["location"].as_str().expect("a place"));
    let (_, kept) = world.get("ll_patient_peter", &path).await;
    assert_eq!(kept["recorder"], sent["recorder"]);
    for (change, status) in [
        (json!({ "code": { "text": "b" } }), StatusCode::BAD_REQUEST),
        (json!({ "code": { "text": "b" }, "recorder": null }), StatusCode::OK),
    ] {
        assert_eq!(world.send("ll_patient_peter", Method::PATCH, &path, &change).await.0, status, "{change}");
    }
}
