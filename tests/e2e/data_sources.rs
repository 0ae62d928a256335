//! The catalogue of data sources, and whose apps bring data from which: super admins keep both.

use end_to_end::{World, answer, point, reply::Reply, row_ids};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/data_sources";
const SCOPES: &str = "/api/v1/data_sources/70001/supported_scopes";
const OF_CLIENT: &str = "/api/v1/clients/1/data_sources";

async fn send(world: &World, user: &str, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let (status, value) = answer(world.request(user, method, path).json(body)).await;
    (status.as_u16(), value)
}

#[tokio::test]
async fn nobody_but_a_super_admin_changes_data_sources_and_their_links() {
    let world = World::new().await;
    let cases = [
        (Method::POST, PATH, json!({ "name": "n", "type": "personal_device" })),
        (Method::PATCH, "/api/v1/data_sources/70001", json!({ "name": "n" })),
        (Method::DELETE, "/api/v1/data_sources/70001", json!({})),
        (Method::POST, SCOPES, json!({ "scopeCodeId": 50001 })),
        (Method::DELETE, SCOPES, json!({ "scopeCodeId": 50002 })),
        (Method::POST, OF_CLIENT, json!({ "dataSourceId": 70002 })),
        (Method::DELETE, OF_CLIENT, json!({ "dataSourceId": 70001 })),
    ];
    let state = "SELECT (SELECT count(*) FROM data_source WHERE deleted_at IS NULL) * 10000 + (SELECT count(*) FROM data_source_scope) * 100
                      + (SELECT count(*) FROM client_data_source)";
    let before = world.count(state).await;
    for user in ["ll_patient_peter", "viewer_victor", "member_megan", "manager_mary", "manager_mark"] {
        for (method, path, body) in &cases {
            let end = world.audit_end().await;
            let (status, answer) = send(&world, user, method.clone(), path, body).await;
            assert_eq!(status, 403, "{user} {method} {path}: {answer}");
            let events = world.audit_after(end).await;
            let [event] = events.as_slice() else { panic!("{user} {method} {path}: {events:?}") };
            assert_eq!((event.outcome.as_str(), event.refused_by.as_deref()), ("denied", Some("user_type")));
        }
    }
    assert_eq!(world.count(state).await, before);
    for (method, path, body) in &cases {
        let end = world.audit_end().await;
        let (status, answer) = send(&world, "admin", method.clone(), path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {answer}");
        let events = world.audit_after(end).await;
        let [event] = events.as_slice() else { panic!("{method} {path}: {events:?}") };
        assert_eq!((event.outcome.as_str(), event.privileged), ("allowed", true), "{method} {path}");
        if *method == Method::DELETE && *path == "/api/v1/data_sources/70001" {
            world.sql("UPDATE data_source SET deleted_at = NULL WHERE id = 70001").await;
        }
    }
}

#[tokio::test]
async fn a_data_source_is_made_changed_and_deleted() {
    let world = World::new().await;
    let made =
        Reply::to(world.request("admin", Method::POST, PATH).json(&json!({ "name": "n", "type": "personal_device" })))
            .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.json(), json!({ "id": 70007, "name": "n", "type": "personal_device", "supportedScopes": [] }));
    let path = "/api/v1/data_sources/70007";
    let change = async |tag: &str| {
        let request = world.request("admin", Method::PATCH, path).header(header::IF_MATCH, tag);
        Reply::to(request.json(&json!({ "name": "m" }))).await
    };
    let changed = change(made.header("etag")).await;
    assert_eq!((changed.status.as_u16(), changed.json()["name"].as_str()), (200, Some("m")), "{}", changed.text);
    assert_eq!(change(made.header("etag")).await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(world.get("viewer_victor", path).await.1["type"], "personal_device");
    let delete = async |tag: &str| {
        Reply::to(world.request("admin", Method::DELETE, path).header(header::IF_MATCH, tag)).await.status
    };
    assert_eq!(delete(made.header("etag")).await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(delete(changed.header("etag")).await, StatusCode::NO_CONTENT);
    assert_eq!(delete("*").await, StatusCode::NOT_FOUND);
    for (body, field) in [
        (json!({ "type": "personal_device" }), "name"),
        (json!({ "name": "n", "type": "toaster" }), "type"),
        (json!({ "name": "", "type": "patient_app" }), "name"),
        (json!({ "name": "n", "type": "patient_app", "id": 1 }), "id"),
    ] {
        let (status, answer) = send(&world, "admin", Method::POST, PATH, &body).await;
        assert_eq!((status, answer[field].is_array()), (400, true), "{body}: {answer}");
    }
    for path in ["/api/v1/data_sources/79999", "/api/v1/data_sources/abc"] {
        for method in [Method::PATCH, Method::DELETE] {
            assert_eq!(send(&world, "admin", method, path, &json!({ "name": "n" })).await.0, 404, "{path}");
        }
    }
}

#[tokio::test]
async fn a_deleted_data_source_takes_nothing_new_and_what_it_brought_stays() {
    let world = World::new().await;
    assert_eq!(send(&world, "admin", Method::DELETE, "/api/v1/data_sources/70001", &json!({})).await.0, 204);
    assert_eq!(world.get("viewer_victor", "/api/v1/data_sources/70001").await.0, StatusCode::NOT_FOUND);
    assert!(!row_ids(&world.get("viewer_victor", PATH).await.1).contains(&70001));
    for list in ["/api/v1/studies/30001/data_sources", OF_CLIENT, "/FHIR/R5/Device"] {
        let (status, body) = world.get("viewer_victor", list).await;
        assert!(status == StatusCode::OK && !body.to_string().contains("70001"), "{list}: {body}");
    }
    let resource = point::observation(40001, 70001, &point::heart_rate(61, "2026-02-01T08:00:00Z"), "");
    assert_eq!(world.post("ll_patient_peter", "/FHIR/R5/Observation", &resource).await.0, StatusCode::BAD_REQUEST);
    let (status, observation) = world.get("viewer_victor", "/FHIR/R5/Observation/60001").await;
    assert_eq!((status, &observation["device"]["reference"]), (StatusCode::OK, &json!("Device/70001")));
    assert_eq!(world.get("viewer_victor", "/FHIR/R5/Device/70001").await.0, StatusCode::OK, "observations name it");
}

#[tokio::test]
async fn what_a_data_source_supplies_has_the_shape_that_existing_apps_read() {
    let world = World::new().await;
    let (_, rows) = world.get("ll_patient_peter", SCOPES).await;
    let source = json!({ "id": 70001, "name": "CareX", "type": "personal_device", "lastUpdated": rows[0]["dataSource"]["lastUpdated"] });
    let scope = |id: i32, code: &str, text: &str| json!({ "id": id, "codingSystem": "https://w3id.org/openmhealth", "codingCode": code, "text": text });
    assert_eq!(
        rows[0],
        json!({ "id": 50002, "dataSource": source, "scopeCode": scope(50002, "omh:blood-pressure:4.0", "Blood pressure") })
    );
    let glucose = json!({ "scopeCodeId": 50001 });
    for _ in 0..2 {
        let (status, row) = send(&world, "admin", Method::POST, SCOPES, &glucose).await;
        assert_eq!(status, 201, "{row}");
        assert_eq!(row["scopeCode"], scope(50001, "omh:blood-glucose:4.0", "Blood glucose"));
    }
    assert_eq!(world.get("viewer_victor", SCOPES).await.1.as_array().map(Vec::len), Some(3));
    assert_eq!(send(&world, "admin", Method::DELETE, SCOPES, &glucose).await.0, 204);
    assert_eq!(world.get("viewer_victor", SCOPES).await.1.as_array().map(Vec::len), Some(2));
    let (status, answer) = send(&world, "admin", Method::POST, SCOPES, &json!({ "scopeCodeId": 59999 })).await;
    assert_eq!((status, answer["scopeCodeId"].is_array()), (400, true), "{answer}");
    let unknown = "/api/v1/data_sources/79999/supported_scopes";
    for method in [Method::GET, Method::POST, Method::DELETE] {
        assert_eq!(send(&world, "admin", method.clone(), unknown, &glucose).await.0, 404, "{method}");
    }
}

#[tokio::test]
async fn what_an_app_brings_data_from_has_the_shape_that_existing_apps_read() {
    let world = World::new().await;
    let (_, sources) = world.get("ll_patient_peter", OF_CLIENT).await;
    let ids: Vec<_> = sources.as_array().expect("a list").iter().map(|source| source["id"].clone()).collect();
    assert_eq!(ids, [70001, 70005]);
    assert_eq!(sources[0], world.get("viewer_victor", "/api/v1/data_sources/70001").await.1);
    let body = json!({ "dataSourceId": 70002 });
    let (status, row) = send(&world, "admin", Method::POST, OF_CLIENT, &body).await;
    assert_eq!((status, row), (201, json!({ "id": 70002, "client_id": "1", "dataSourceId": 70002 })));
    assert_eq!(send(&world, "admin", Method::DELETE, OF_CLIENT, &body).await.0, 204);
    let unknown = json!({ "dataSourceId": 79999 });
    assert_eq!(send(&world, "admin", Method::POST, OF_CLIENT, &unknown).await.0, 400);
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let path = "/api/v1/clients/999/data_sources";
        assert_eq!(send(&world, "admin", method.clone(), path, &body).await.0, 404, "{method}");
    }
}
