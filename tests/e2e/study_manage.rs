//! Creating, changing and deleting studies over `/api/v1`.

use end_to_end::{World, answer, reply::Reply};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/studies";

fn new(organization: i32) -> Value {
    json!({ "name": "N", "description": "D", "organization": organization })
}

async fn send(world: &World, user: &str, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let (status, value) = answer(world.request(user, method, path).json(body)).await;
    (status.as_u16(), value)
}

#[tokio::test]
async fn a_study_is_created_in_the_shape_that_existing_apps_read() {
    let world = World::new().await;
    let reply = Reply::to(world.request("manager_mary", Method::POST, PATH).json(&new(20003))).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
    let study = reply.json();
    let id = study["id"].as_i64().expect("an id");
    assert_eq!(
        study,
        json!({ "id": id, "name": "N", "description": "D", "organization": 20003, "iconUrl": null, "status": "active",
                "startsOn": null, "endsOn": null, "accessUntil": null, "retentionPolicy": null })
    );
    let read = Reply::to(world.request("viewer_victor", Method::GET, &format!("{PATH}/{id}"))).await;
    assert_eq!(read.json()["organization"]["id"], 20003);
    assert!(!reply.header("etag").is_empty() && reply.header("etag") == read.header("etag"));

    let whole = json!({ "name": "N", "description": "Line\nline", "organization": 20003, "iconUrl": "https://a.example/i.png",
        "status": "draft", "startsOn": "2027-01-01", "endsOn": "2027-12-31",
        "retentionPolicy": { "reference": "Data plan 12", "days": 3650 } });
    let (status, study) = send(&world, "manager_mary", Method::POST, PATH, &whole).await;
    assert_eq!(status, 201, "{study}");
    for (name, value) in whole.as_object().expect("an object") {
        assert_eq!(study[name], *value, "{name}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_study_is_told_by_field() {
    let world = World::new().await;
    let required = "This field is required.";
    for (body, expected) in [
        (json!({ "organization": 20003 }), json!({ "name": [required], "description": [required] })),
        (json!({}), json!({ "name": [required], "description": [required], "organization": [required] })),
        (
            json!({ "name": "N", "description": "D", "organization": "x" }),
            json!({ "organization": ["A valid integer is required."] }),
        ),
    ] {
        assert_eq!(send(&world, "manager_mary", Method::POST, PATH, &body).await, (400, expected), "{body}");
    }
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(256))),
        ("iconUrl", json!("javascript:alert(1)")),
        ("status", json!("archived")),
        ("endsOn", json!("2027-02-30")),
        ("retentionPolicy", json!([])),
        ("patients", json!([40001])),
    ] {
        let mut body = new(20003);
        body[field] = value;
        let (status, answer) = send(&world, "manager_mary", Method::POST, PATH, &body).await;
        assert_eq!((status, answer[field].is_array()), (400, true), "{field}: {answer}");
    }
    let (status, answer) = send(&world, "admin", Method::POST, PATH, &new(29999)).await;
    assert_eq!((status, answer["organization"].is_array()), (400, true), "{answer}");
}

#[tokio::test]
async fn only_managers_of_the_organization_of_the_study_work_with_it() {
    let world = World::new().await;
    let renamed = json!({ "name": "Renamed" });
    for (user, organization, study, expected) in [
        ("manager_mary", 20003, 30002, 200),
        ("admin", 20003, 30002, 200),
        ("member_megan", 20003, 30002, 403),
        ("viewer_victor", 20003, 30002, 403),
        // A manager elsewhere: the role in the organization of the study counts.
        ("three_org_tom", 20003, 30002, 403),
        ("three_org_tom", 20008, 30005, 200),
        ("three_org_tom", 20007, 30004, 403),
        ("manager_mark", 20003, 30002, 404),
        ("manager_mary", 20008, 30005, 404),
        ("ll_patient_peter", 20003, 30002, 403),
    ] {
        let what = format!("{user} {study}");
        let end = world.audit_end().await;
        let path = format!("{PATH}/{study}");
        assert_eq!(send(&world, user, Method::PATCH, &path, &renamed).await.0, expected, "{what}");
        let created = send(&world, user, Method::POST, PATH, &new(organization)).await;
        assert_eq!(created.0, if expected == 200 { 201 } else { expected }, "{what}");
        let deleted = if expected == 200 { format!("{PATH}/{}", created.1["id"]) } else { path };
        let reply = Reply::to(world.request(user, Method::DELETE, &deleted)).await;
        assert_eq!(reply.status.as_u16(), if expected == 200 { 204 } else { expected }, "{what}");
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), 3, "{what}: {events:?}");
        for event in events {
            assert_eq!((event.outcome == "allowed"), expected == 200, "{what}");
            assert_eq!(
                (event.organizations.as_slice(), event.privileged),
                (&[organization][..], user == "admin"),
                "{what}"
            );
        }
    }
    for path in ["/api/v1/studies/39999", "/api/v1/studies/abc", "/api/v1/studies/99999999999"] {
        assert_eq!(send(&world, "admin", Method::PATCH, path, &renamed).await.0, 404, "{path}");
        assert_eq!(send(&world, "admin", Method::DELETE, path, &json!({})).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_study_stays_in_its_organization() {
    let world = World::new().await;
    // Tom manages the one and is a member of the other.
    world.sql("UPDATE organization_member SET role = 'manager' WHERE practitioner_id = 80005").await;
    for (user, organization) in [("three_org_tom", 20008), ("admin", 20008), ("three_org_tom", 29999)] {
        let body = json!({ "organization": organization });
        let (status, answer) = send(&world, user, Method::PATCH, "/api/v1/studies/30001", &body).await;
        assert_eq!(
            (status, answer),
            (400, json!({ "organization": ["A study stays in its organization."] })),
            "{user}"
        );
    }
    let same =
        send(&world, "three_org_tom", Method::PATCH, "/api/v1/studies/30001", &json!({ "organization": 20003 })).await;
    assert_eq!(same.0, 200);
    assert_eq!(world.count("SELECT organization_id::bigint FROM study WHERE id = 30001").await, 20003);
}

#[tokio::test]
async fn a_change_is_made_to_what_was_read_and_its_audit_has_before_and_after() {
    let world = World::new().await;
    let path = "/api/v1/studies/30001";
    let read = Reply::to(world.request("manager_mary", Method::GET, path)).await;
    let change = async |tag: &str, name: &str| {
        let request = world.request("manager_mary", Method::PATCH, path).header(header::IF_MATCH, tag);
        Reply::to(request.json(&json!({ "name": name }))).await
    };
    let first = change(read.header("etag"), "First").await;
    assert_eq!((first.status.as_u16(), first.json()["name"].as_str()), (200, Some("First")), "{}", first.text);
    let end = world.audit_end().await;
    assert_eq!(change(read.header("etag"), "Second").await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(world.get("manager_mary", path).await.1["name"], "First");
    assert_eq!(change(first.header("etag"), "Third").await.status, StatusCode::OK);
    let rows = world.sql(&format!("SELECT before::text, after::text FROM audit_change WHERE event_id > {end}")).await;
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    let json = |index| -> Value { serde_json::from_str(row.get(index)).expect("JSON") };
    assert_eq!((json(0), json(1)), (json!({ "name": "First" }), json!({ "name": "Third" })));

    let created = Reply::to(world.request("manager_mary", Method::POST, PATH).json(&new(20003))).await;
    let own = format!("{PATH}/{}", created.json()["id"]);
    let delete = async |tag: &str| {
        Reply::to(world.request("manager_mary", Method::DELETE, &own).header(header::IF_MATCH, tag)).await.status
    };
    assert_eq!(delete(read.header("etag")).await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(delete(created.header("etag")).await, StatusCode::NO_CONTENT);
    assert_eq!(world.get("manager_mary", &own).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_study_that_ever_had_patients_is_archived_and_not_deleted() {
    let world = World::new().await;
    let (_, study) = send(&world, "manager_mary", Method::POST, PATH, &new(20003)).await;
    let path = format!("{PATH}/{}", study["id"]);
    let patients = format!("{path}/patients");
    let body = json!({ "patientIds": [40001] });
    assert_eq!(send(&world, "member_megan", Method::POST, &patients, &body).await.0, 201);
    assert_eq!(send(&world, "member_megan", Method::DELETE, &patients, &body).await.0, 204);
    for path in [path.as_str(), "/api/v1/studies/30001"] {
        let (status, answer) = send(&world, "manager_mary", Method::DELETE, path, &json!({})).await;
        assert_eq!(status, 409, "{path}: {answer}");
        assert!(answer["detail"].as_str().is_some_and(|text| text.contains("Archive it")), "{answer}");
        assert_eq!(world.get("manager_mary", path).await.0, StatusCode::OK, "{path}");
        assert_eq!(send(&world, "manager_mary", Method::PATCH, path, &json!({ "status": "archived" })).await.0, 200);
    }
    assert_eq!(world.count("SELECT count(*) FROM consent_event").await, 12);
}
