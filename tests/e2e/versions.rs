//! `If-Match`: what somebody else has changed meanwhile is not changed again; what has no version takes no condition on one.

use end_to_end::{World, answer, application::application, reply::Reply};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

const CLIENT: &str = "/api/v1/clients/1";
const PETER: &str = "/api/v1/patients/40001";

async fn tag(world: &World, user: &str, path: &str) -> String {
    Reply::to(world.request(user, Method::GET, path)).await.header("etag").to_owned()
}

async fn with_tag(world: &World, user: &str, method: Method, path: &str, tag: &str, body: Value) -> StatusCode {
    let request = world.request(user, method, path).header(header::IF_MATCH, tag);
    answer(if body.is_null() { request } else { request.json(&body) }).await.0
}

#[tokio::test]
async fn a_change_of_another_version_is_refused_also_when_nothing_would_change() {
    let world = World::new().await;
    let source = json!({ "label": "Forms", "dataSource": 70005, "fhirBaseUrl": "https://fhir.halo.example/R4" });
    let (_, source) = world.post("ll_patient_peter", "/api/v1/fhir_sources", &source).await;
    let source = format!("/api/v1/fhir_sources/{}", source["id"]);
    for (user, path, known) in [
        ("viewer_victor", "/api/v1/users/10004", Some("firstName")),
        ("admin", "/api/v1/users/10004", Some("isActive")),
        ("admin", "/api/v1/users/10004", Some("email")),
        ("admin", "/api/v1/practitioners/80004", Some("telecomEmail")),
        ("admin", "/api/v1/practitioners/80004", Some("nameFamily")),
        ("manager_mary", "/api/v1/organizations/20003", Some("name")),
        ("manager_mary", "/api/v1/studies/30001", Some("name")),
        ("member_megan", PETER, Some("nameGiven")),
        ("admin", "/api/v1/data_sources/70001", Some("name")),
        ("admin", CLIENT, Some("name")),
        ("ll_patient_peter", source.as_str(), Some("label")),
        ("viewer_victor", "/api/v1/users/10004", None),
        ("admin", "/api/v1/users/10004", None),
        ("admin", "/api/v1/practitioners/80004", None),
        ("manager_mary", "/api/v1/organizations/20003", None),
        ("manager_mary", "/api/v1/studies/30001", None),
        ("member_megan", PETER, None),
        ("admin", "/api/v1/data_sources/70001", None),
        ("admin", CLIENT, None),
        ("ll_patient_peter", source.as_str(), None),
    ] {
        let (_, shown) = world.get(user, path).await;
        let body = known.map_or_else(|| json!({}), |member| json!({ member: shown[member] }));
        let patch = async |tag: &str| with_tag(&world, user, Method::PATCH, path, tag, body.clone()).await;
        assert_eq!(patch("\"1\"").await, StatusCode::PRECONDITION_FAILED, "{user} {path} {body}");
        assert_eq!(patch(&tag(&world, user, path).await).await, StatusCode::OK, "{user} {path} {body}");
    }
}

#[tokio::test]
async fn a_fhir_resource_that_shows_a_record_has_its_version() {
    let world = World::new().await;
    for (user, path, record, change) in [
        ("manager_mary", "/FHIR/R5/Group/30001", "/api/v1/studies/30001", json!({ "description": "Another" })),
        ("manager_mary", "/FHIR/R5/Organization/20003", "/api/v1/organizations/20003", json!({ "name": "Lab" })),
        ("admin", "/FHIR/R5/Device/70001", "/api/v1/data_sources/70001", json!({ "name": "CareY" })),
        ("member_megan", "/FHIR/R5/Patient/40001", PETER, json!({ "nameGiven": "P" })),
        ("admin", "/FHIR/R5/Practitioner/80004", "/api/v1/practitioners/80004", json!({ "nameGiven": "V" })),
    ] {
        let mut versions = Vec::new();
        for _ in 0..2 {
            let read = Reply::to(world.request(user, Method::GET, path)).await;
            let version = read.json()["meta"]["versionId"].as_str().expect("a version").to_owned();
            assert_eq!(read.header("etag"), format!("W/\"{version}\""), "{path}");
            let (kind, id) = path.trim_start_matches("/FHIR/R5/").split_once('/').expect("an id");
            let (_, found) = world.get(user, &format!("/FHIR/R5/{kind}?_id={id}")).await;
            assert_eq!(found["entry"][0]["resource"]["meta"]["versionId"], version, "{path}: also in a search");
            versions.push(version);
            assert_eq!(world.send(user, Method::PATCH, record, &change).await.0, StatusCode::OK, "{record}");
        }
        assert_ne!(versions[0], versions[1], "{path}");
    }
}

#[tokio::test]
async fn a_client_is_changed_and_ended_in_the_version_that_was_read() {
    let world = World::new().await;
    let first = tag(&world, "admin", CLIENT).await;
    assert_eq!(tag(&world, "viewer_victor", CLIENT).await, first);
    let patch = async |tag: &str, name: &str| {
        with_tag(&world, "admin", Method::PATCH, CLIENT, tag, json!({ "name": name })).await
    };
    assert_eq!(patch(&first, "First").await, StatusCode::OK);
    assert_eq!(patch(&first, "Second").await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(patch("\"no tag of ours\"", "Second").await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(world.get("admin", CLIENT).await.1["name"], "First");
    let delete = async |tag: &str| with_tag(&world, "admin", Method::DELETE, CLIENT, tag, Value::Null).await;
    assert_eq!(delete(&first).await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(world.get("admin", CLIENT).await.0, StatusCode::OK);
    // The answer to a change has the version that it made.
    let changed = Reply::to(world.request("admin", Method::PATCH, CLIENT).json(&json!({ "name": "Third" }))).await;
    assert_eq!(changed.header("etag"), tag(&world, "admin", CLIENT).await);
    world.sql("DELETE FROM study_client WHERE client_id = 1 RETURNING 1").await;
    assert_eq!(delete(changed.header("etag")).await, StatusCode::NO_CONTENT);
    let made =
        Reply::to(world.request("admin", Method::POST, "/api/v1/clients").json(&application("none", &json!({})))).await;
    let new = format!("/api/v1/clients/{}", made.json()["id"]);
    assert_eq!(made.header("etag"), tag(&world, "admin", &new).await);
}

#[tokio::test]
async fn of_two_changes_of_a_client_at_the_same_time_none_is_lost() {
    let world = World::new().await;
    let owner = world.as_owner().await;
    owner
        .batch_execute("BEGIN; UPDATE oauth_client SET name = 'Theirs', last_updated = clock_timestamp() WHERE id = 1")
        .await
        .expect("changed, and not committed");
    let change = world.request("admin", Method::PATCH, CLIENT).json(&json!({ "skipAuthorization": true }));
    let change = tokio::spawn(answer(change));
    let waiting = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock' AND state = 'active'";
    while world.count(waiting).await == 0 {
        assert!(!change.is_finished(), "the change did not wait for the other");
        tokio::task::yield_now().await;
    }
    owner.batch_execute("COMMIT").await.expect("committed");
    assert_eq!(change.await.expect("an answer").0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(world.get("admin", CLIENT).await.1["name"], "Theirs");
}

#[tokio::test]
async fn a_patient_is_taken_out_of_an_organization_in_the_version_that_was_read() {
    let world = World::new().await;
    let leave = format!("{PETER}?organizationId=20003");
    let first = tag(&world, "member_megan", PETER).await;
    let (status, _) = world.send("member_megan", Method::PATCH, PETER, &json!({ "nameGiven": "P" })).await;
    assert_eq!(status, StatusCode::OK);
    let remove = async |tag: &str| with_tag(&world, "member_megan", Method::DELETE, &leave, tag, Value::Null).await;
    assert_eq!(remove(&first).await, StatusCode::PRECONDITION_FAILED);
    let second = tag(&world, "member_megan", PETER).await;
    assert_eq!(remove(&second).await, StatusCode::NO_CONTENT);
    // The organizations of a patient are part of the record.
    let third = tag(&world, "ll_patient_peter", PETER).await;
    assert_ne!(third, second);
    let ask = format!("{PETER}/global_add_organization?organizationId=20003");
    for (user, status) in [("member_megan", 202), ("ll_patient_peter", 200)] {
        assert_eq!(answer(world.request(user, Method::PATCH, &ask)).await.0.as_u16(), status, "{user}");
    }
    assert_ne!(tag(&world, "ll_patient_peter", PETER).await, third);
}

#[tokio::test]
async fn what_has_no_version_takes_no_condition_on_one() {
    let world = World::new().await;
    let role = json!({ "jheUserId": 10004, "organizationPartitionerRole": "member" });
    let consent = json!({ "studyScopeConsents": [{ "studyId": 30001, "scopeConsents": [
        { "codingSystem": "https://w3id.org/openmhealth", "codingCode": "omh:heart-rate:2.0", "consented": false }] }] });
    for (user, method, path, body) in [
        ("manager_mary", Method::POST, "/api/v1/organizations/20003/user", role),
        ("ll_patient_peter", Method::PATCH, "/api/v1/patients/40001/consents", consent),
    ] {
        let before = world.count("SELECT (SELECT count(*) FROM consent_event) + (SELECT count(*) FROM organization_member WHERE role = 'member')").await;
        let stale = with_tag(&world, user, method.clone(), path, "\"1\"", body.clone()).await;
        assert_eq!(stale, StatusCode::PRECONDITION_FAILED, "{path}");
        let after = world.count("SELECT (SELECT count(*) FROM consent_event) + (SELECT count(*) FROM organization_member WHERE role = 'member')").await;
        assert_eq!(after, before, "{path}");
        assert!(with_tag(&world, user, method, path, "*", body).await.is_success(), "{path}");
    }
}

#[tokio::test]
async fn what_is_made_and_ended_only_takes_no_condition_on_a_version() {
    let world = World::new().await;
    let invitation = json!({ "patientId": 40001, "client_id": 1 });
    let tables = "SELECT (SELECT count(*) FROM study_patient) + (SELECT count(*) FROM study_scope_request) + (SELECT count(*) FROM study_client)
                       + (SELECT count(*) FROM study_data_source) + (SELECT count(*) FROM data_source_scope)
                       + (SELECT count(*) FROM client_data_source) + (SELECT count(*) FROM organization_member)
                       + (SELECT count(*) FROM login_session)";
    let before = world.count(tables).await;
    for (user, methods, path, body) in [
        ("manager_mary", "DELETE", "/api/v1/organizations/20003/remove_user", json!({ "jheUserId": 10004 })),
        ("member_megan", "POST DELETE", "/api/v1/studies/30001/patients", json!({ "patientIds": [40001] })),
        ("manager_mary", "POST DELETE", "/api/v1/studies/30001/scope_requests", json!({ "scopeCodeId": 50002 })),
        ("manager_mary", "POST DELETE", "/api/v1/studies/30001/data_sources", json!({ "dataSourceId": 70001 })),
        ("manager_mary", "POST DELETE", "/api/v1/studies/30001/clients", json!({ "clientId": 1 })),
        ("admin", "POST DELETE", "/api/v1/data_sources/70001/supported_scopes", json!({ "scopeCodeId": 50002 })),
        ("admin", "POST DELETE", "/api/v1/clients/1/data_sources", json!({ "dataSourceId": 70001 })),
        ("admin", "DELETE", "/api/v1/users/10004/sessions", Value::Null),
        ("admin", "DELETE", "/api/v1/users/sessions", Value::Null),
        ("admin", "DELETE", "/api/v1/users/10004/second-factor", Value::Null),
    ] {
        for method in methods.split(' ') {
            let method: Method = method.parse().expect("a method");
            let stale = with_tag(&world, user, method.clone(), path, "\"1\"", body.clone()).await;
            assert_eq!(stale, StatusCode::PRECONDITION_FAILED, "{method} {path}");
        }
    }
    assert_eq!(world.count(tables).await, before);
    let (status, made) = world.post("member_megan", "/api/v1/invitation", &invitation).await;
    assert!(status.is_success(), "{made}");
    let path = format!("/api/v1/invitation/{}", made["id"]);
    for (tag, expected) in [("\"1\"", StatusCode::PRECONDITION_FAILED), ("*", StatusCode::NO_CONTENT)] {
        assert_eq!(with_tag(&world, "member_megan", Method::DELETE, &path, tag, Value::Null).await, expected, "{tag}");
    }
}
