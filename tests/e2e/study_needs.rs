//! What studies ask for and use: scope requests, data sources, clients.

use end_to_end::{World, answer, ids, keys, point};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const REQUESTS: &str = "/api/v1/studies/30001/scope_requests";
const SOURCES: &str = "/api/v1/studies/30001/data_sources";
const CLIENTS: &str = "/api/v1/studies/30001/clients";

async fn send(world: &World, user: &str, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let (status, value) = answer(world.request(user, method, path).json(body)).await;
    (status.as_u16(), value)
}

/// The ids of the scopes, data sources or clients of a list.
fn parts(list: &Value, member: &str) -> Vec<i64> {
    list.as_array().expect("a list").iter().map(|row| row[member]["id"].as_i64().expect("an id")).collect()
}

#[tokio::test]
async fn lists_have_the_shape_that_existing_apps_read_and_name_no_other_patient() {
    let world = World::new().await;
    let study = |patients: Value, shown: &Value| {
        json!({ "id": 30001, "name": "Lifespan Study on BP & HR", "description": "Blood Pressure & Heart Rate", "iconUrl": null,
                "lastUpdated": shown["study"]["lastUpdated"], "organization": 20003, "patients": patients })
    };
    for (user, patients) in [("ll_patient_peter", json!([40001])), ("viewer_victor", json!([])), ("admin", json!([]))] {
        let (_, requests) = world.get(user, REQUESTS).await;
        assert_eq!(parts(&requests, "scopeCode"), [50002, 50004, 50011]);
        let row = &requests[0];
        let scope = json!({ "id": 50002, "codingSystem": "https://w3id.org/openmhealth",
            "codingCode": "omh:blood-pressure:4.0", "text": "Blood pressure" });
        assert_eq!(*row, json!({ "id": 50002, "study": study(patients.clone(), row), "scopeCode": scope }), "{user}");
        let (_, sources) = world.get(user, SOURCES).await;
        assert_eq!(parts(&sources, "dataSource"), [70001, 70005]);
        assert_eq!(sources[0]["study"], study(patients, &sources[0]), "{user}");
        assert_eq!(keys(&sources[0]["dataSource"]), BTreeSet::from(["id", "lastUpdated", "name", "type"]));
    }
}

#[tokio::test]
async fn the_clients_of_a_study_are_listed_without_secrets_and_not_to_patients() {
    let world = World::new().await;
    world.sql("UPDATE oauth_client SET secret_hash = sha256('x'), token_endpoint_auth_method = 'client_secret_basic' WHERE id = 1").await;
    let (status, clients) = world.get("viewer_victor", CLIENTS).await;
    assert_eq!((status, parts(&clients, "client")), (StatusCode::OK, vec![1, 3]));
    assert_eq!(keys(&clients[0]["client"]), BTreeSet::from(["client_id", "id", "invitationUrl", "name"]));
    assert!(!clients.to_string().to_lowercase().contains("secret"), "{clients}");
    assert_eq!(world.get("ll_patient_peter", CLIENTS).await.0, StatusCode::FORBIDDEN);
    world.sql("UPDATE oauth_client SET deleted_at = clock_timestamp() WHERE id = 3").await;
    assert_eq!(parts(&world.get("viewer_victor", CLIENTS).await.1, "client"), [1]);
}

#[tokio::test]
async fn who_may_read_what_a_study_needs_and_who_may_change_it() {
    let world = World::new().await;
    let all = [
        (REQUESTS, json!({ "scopeCodeId": 50001 })),
        (SOURCES, json!({ "dataSourceId": 70002 })),
        (CLIENTS, json!({ "clientId": 2 })),
    ];
    for (user, read, write) in [
        ("manager_mary", 200, 201),
        ("admin", 200, 201),
        ("member_megan", 200, 403),
        ("viewer_victor", 200, 403),
        ("three_org_tom", 200, 403),
        ("manager_mark", 404, 404),
        ("ll_patient_peter", 200, 403),
        ("npl_patient_percy", 404, 403),
    ] {
        for (path, body) in &all {
            let what = format!("{user} {path}");
            let hidden = *path == CLIENTS && user == "ll_patient_peter";
            let end = world.audit_end().await;
            assert_eq!(world.get(user, path).await.0.as_u16(), if hidden { 403 } else { read }, "{what}");
            assert_eq!(
                world.audit_after(end).await.len(),
                usize::from(read == 404 || hidden || user == "admin"),
                "{what}: what is refused, and what a super admin asks"
            );
            let end = world.audit_end().await;
            let (status, answer) = send(&world, user, Method::POST, path, body).await;
            assert_eq!(status, write, "{what}: {answer}");
            assert_eq!(write == 201 && *path != REQUESTS, answer.is_null(), "{what}");
            let (status, _) = send(&world, user, Method::DELETE, path, body).await;
            assert_eq!(status, if write == 201 { 204 } else { write }, "{what}");
            for event in world.audit_after(end).await {
                assert_eq!(
                    (event.outcome == "allowed", event.studies.as_slice()),
                    (write == 201, &[30001][..]),
                    "{what}"
                );
            }
            let count = format!(
                "SELECT count(*) FROM audit_event e JOIN audit_change c ON c.event_id = e.id WHERE e.id > {end}"
            );
            assert_eq!(world.count(&count).await, if write == 201 { 2 } else { 0 }, "{what}: added and removed");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_well_formed_is_told_by_field() {
    let world = World::new().await;
    for (path, field) in [(REQUESTS, "scopeCodeId"), (SOURCES, "dataSourceId"), (CLIENTS, "clientId")] {
        for body in [json!({ field: 99999 }), json!({ field: "x" }), json!({ field: null }), json!({})] {
            let (status, answer) = send(&world, "manager_mary", Method::POST, path, &body).await;
            assert_eq!((status, keys(&answer)), (400, BTreeSet::from([field])), "{path} {body}: {answer}");
        }
        let (status, answer) =
            send(&world, "manager_mary", Method::DELETE, path, &json!({ field: 1, "more": 1 })).await;
        assert_eq!((status, keys(&answer)), (400, BTreeSet::from(["more"])), "{path}");
        assert_eq!(send(&world, "manager_mary", Method::DELETE, path, &json!({ field: 99999 })).await.0, 204, "{path}");
        for unknown in ["39999", "abc"] {
            let path = path.replace("30001", unknown);
            for method in [Method::GET, Method::POST, Method::DELETE] {
                assert_eq!(
                    send(&world, "admin", method.clone(), &path, &json!({ field: 1 })).await.0,
                    404,
                    "{method} {path}"
                );
            }
        }
    }
    // A client to which nobody can be invited is not offered.
    let (status, answer) = send(&world, "manager_mary", Method::POST, CLIENTS, &json!({ "clientId": 4 })).await;
    assert_eq!((status, keys(&answer)), (400, BTreeSet::from(["clientId"])), "{answer}");
    let twice = json!({ "scopeCodeId": 50002 });
    assert_eq!(send(&world, "manager_mary", Method::POST, REQUESTS, &twice).await.0, 201, "it asks for it already");
    assert_eq!(parts(&world.get("manager_mary", REQUESTS).await.1, "scopeCode"), [50002, 50004, 50011]);
}

/// What Victor finds of Peter.
async fn found(world: &World) -> usize {
    let by_study = world.get("viewer_victor", "/FHIR/R5/Observation?_has:Group:member:_id=30001&_count=100").await.1;
    let by_patient = world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await.1;
    let peters = |bundle: &Value| {
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        entries.iter().filter(|entry| entry["resource"]["subject"]["reference"] == "Patient/40001").count()
    };
    assert_eq!(peters(&by_study), peters(&by_patient));
    ids(&by_patient).len()
}

/// The codes about which Peter has to decide for the study, and those that he granted.
async fn decisions(world: &World) -> (Vec<String>, Vec<String>) {
    let (_, consents) = world.get("ll_patient_peter", "/api/v1/patients/40001/consents").await;
    let codes = |list: &str, scopes: &str| {
        let studies = consents[list].as_array().expect("studies").iter().filter(|study| study["id"] == 30001);
        let scopes = studies.flat_map(|study| study[scopes].as_array().expect("scopes"));
        scopes.map(|scope| scope["code"]["codingCode"].as_str().expect("a code").to_owned()).collect::<Vec<_>>()
    };
    (codes("studiesPendingConsent", "pendingScopeConsents"), codes("studies", "scopeConsents"))
}

#[tokio::test]
async fn a_new_request_waits_for_every_patients_decision_and_shows_nothing() {
    let world = World::new().await;
    world
        .sql("INSERT INTO observation (patient_id, scope_id, data_source_id, status, last_updated, effective_start, effective_end, content)
              VALUES (40001, 50001, 70001, 'final', now(), now(), now(), '{\"subject\": {\"reference\": \"Patient/40001\"}}')")
        .await;
    let before = found(&world).await;
    assert_eq!(send(&world, "manager_mary", Method::POST, REQUESTS, &json!({ "scopeCodeId": 50001 })).await.0, 201);
    assert_eq!(found(&world).await, before);
    assert_eq!(decisions(&world).await.0, ["omh:blood-glucose:4.0"]);
    world.decide("ll_patient_peter", 40001, 30001, "omh:blood-glucose:4.0", true).await;
    assert_eq!(found(&world).await, before + 1);
}

#[tokio::test]
async fn a_request_that_is_taken_back_hides_at_once_and_made_again_asks_anew() {
    let world = World::new().await;
    let pressure = json!({ "scopeCodeId": 50002 });
    let ledger = world.count("SELECT count(*) FROM consent_event").await;
    assert_eq!(found(&world).await, 2);
    assert_eq!(send(&world, "manager_mary", Method::DELETE, REQUESTS, &pressure).await.0, 204);
    assert_eq!(found(&world).await, 1);
    assert_eq!(world.get("viewer_victor", "/FHIR/R5/Observation/60001").await.0, StatusCode::NOT_FOUND);
    assert!(
        decisions(&world).await.1.contains(&"omh:blood-pressure:4.0".to_owned()),
        "the grant can be seen and withdrawn"
    );

    assert_eq!(send(&world, "manager_mary", Method::POST, REQUESTS, &pressure).await.0, 201);
    assert_eq!(found(&world).await, 1, "an old grant does not count for a new request");
    assert_eq!(world.get("viewer_victor", "/FHIR/R5/Observation/60001").await.0, StatusCode::NOT_FOUND);
    let resource = point::observation(40001, 70001, &point::blood_pressure(120, "2026-02-01T08:00:00Z"), "");
    assert_eq!(world.post("ll_patient_peter", "/FHIR/R5/Observation", &resource).await.0, StatusCode::CREATED);
    assert_eq!(found(&world).await, 1);
    let (pending, decided) = decisions(&world).await;
    assert_eq!(pending, ["omh:blood-pressure:4.0"]);
    assert!(!decided.contains(&pending[0]));
    assert_eq!(world.count("SELECT count(*) FROM consent_event").await, ledger, "the ledger is as it was");

    world.decide("ll_patient_peter", 40001, 30001, "omh:blood-pressure:4.0", true).await;
    assert_eq!(found(&world).await, 3);
}
