//! An event is of the organizations whose patients it concerns, and each of them sees the role that the actor has there.

use end_to_end::World;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The newest event of an organization's log that somebody caused.
async fn newest(world: &World, manager: &str, organization: i32, actor: i32) -> Value {
    let path = format!("/api/v1/organizations/{organization}/audit-events?actor={actor}&pageSize=1");
    let (status, page) = world.get(manager, &path).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page["results"][0].clone()
}

#[tokio::test]
async fn the_role_is_that_in_the_organizations_of_the_event_and_not_one_of_elsewhere() {
    let world = World::new().await;
    // Tom views 20003, is a member of 20007, and manages 20008.
    for (path, role) in [
        ("/FHIR/R5/Observation?patient=40001", "viewer"),
        ("/FHIR/R5/Patient/40001", "viewer"),
        ("/FHIR/R5/Patient?_id=40001", "viewer"),
        ("/api/v1/patients/40001", "viewer"),
        ("/api/v1/patients/global_lookup?email=ll_patient_peter%40example.com", "viewer"),
        ("/FHIR/R5/Observation?patient=40003", "member"),
        ("/FHIR/R5/Observation?patient=40004", "manager"),
    ] {
        let end = world.audit_end().await;
        let (status, answer) = world.get("three_org_tom", path).await;
        let event =
            world.audit_after(end).await.into_iter().next().unwrap_or_else(|| panic!("{path}: {status} {answer}"));
        assert_eq!(event.role.as_deref(), Some(role), "{path}: {event:?}");
    }
}

#[tokio::test]
async fn of_an_event_of_several_organizations_each_sees_the_role_there() {
    let world = World::new().await;
    let (status, bundle) =
        world.get("three_org_tom", "/FHIR/R5/Observation?patient=40001,40002,40003,40004,40005").await;
    assert_eq!(status, StatusCode::OK, "{bundle}");
    for (manager, organization, patients, role) in [
        ("manager_mary", 20003, json!([40001, 40002]), "viewer"),
        ("manager_mark", 20007, json!([40003]), "member"),
        ("three_org_tom", 20008, json!([40004, 40005]), "manager"),
    ] {
        let event = newest(&world, manager, organization, 10005).await;
        assert_eq!((&event["role"], &event["patientIds"]), (&json!(role), &patients), "{event}");
    }
    let (_, log) = world.get("ll_patient_peter", "/api/v1/patients/me/access-log").await;
    let of_tom =
        log["results"].as_array().expect("rows").iter().find(|row| row["actor"]["id"] == 10005).expect("a row");
    assert_eq!(of_tom["role"], "viewer", "{log}");
    let (_, log) = world.get("admin", "/api/v1/audit-events?actor=10005&organization=20003&pageSize=1").await;
    let event = &log["results"][0];
    assert_eq!(event["role"], "manager", "{event}");
    assert_eq!(
        event["detail"]["roles"],
        json!({ "20003": "viewer", "20007": "member", "20008": "manager" }),
        "{event}"
    );
}

#[tokio::test]
async fn managers_see_what_strangers_tried_with_their_patients() {
    let world = World::new().await;
    for (user, account, path) in [
        ("manager_mark", 10008, "/FHIR/R5/Patient/40001"),
        ("manager_mark", 10008, "/FHIR/R5/Observation?patient=40001"),
        ("manager_mark", 10008, "/api/v1/patients/40001"),
        ("ll_patient_pamela", 10007, "/FHIR/R5/Patient/40001"),
    ] {
        let (status, answer) = world.get(user, path).await;
        assert!(status == StatusCode::FORBIDDEN || status == StatusCode::NOT_FOUND, "{path}: {answer}");
        let event = newest(&world, "manager_mary", 20003, account).await;
        assert_eq!((&event["outcome"], &event["patientIds"]), (&json!("denied"), &json!([40001])), "{path}: {event}");
        assert_eq!(event["role"], Value::Null, "{path}: {event}");
        assert_eq!(event["organizations"], json!([{ "id": 20003, "name": "Lifespan Lab" }]), "{path}");
    }
}

#[tokio::test]
async fn managers_see_what_super_admins_read_of_their_patients_and_of_no_others() {
    let world = World::new().await;
    let path = "/FHIR/R5/Observation?patient=40001,40004";
    let (status, bundle) = world.get("admin", path).await;
    assert_eq!(status, StatusCode::OK, "{bundle}");
    for (manager, organization, name, patient) in
        [("manager_mary", 20003, "Lifespan Lab", 40001), ("three_org_tom", 20008, "Cosmic Cardio Lab", 40004)]
    {
        let event = newest(&world, manager, organization, 10001).await;
        assert_eq!((&event["privileged"], &event["patientIds"]), (&json!(true), &json!([patient])), "{event}");
        assert_eq!(event["organizations"], json!([{ "id": organization, "name": name }]), "{event}");
        let of_others = if patient == 40001 { 40004 } else { 40001 };
        let ids = world
            .sql(&format!("SELECT id FROM observation WHERE patient_id = {of_others}"))
            .await
            .iter()
            .map(|row| row.get::<_, i64>(0).to_string())
            .collect::<Vec<_>>();
        let shown = event["observationIds"].as_array().expect("ids");
        assert!(
            !shown.is_empty() && !shown.iter().any(|id| ids.contains(&id.as_str().expect("text").to_owned())),
            "{event}"
        );
    }
    let (_, log) = world.get("manager_mark", "/api/v1/organizations/20007/audit-events?actor=10001").await;
    assert_eq!(log["count"], 0, "{log}");
}

#[tokio::test]
async fn who_is_shown_the_audit_is_recorded_with_whom_it_showed() {
    let world = World::new().await;
    assert_eq!(world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await.0, StatusCode::OK);
    assert_eq!(world.get("three_org_tom", "/FHIR/R5/Observation?patient=40004").await.0, StatusCode::OK);
    for (user, path, patients, users) in [
        ("manager_mary", "/api/v1/organizations/20003/audit-events?pageSize=1", vec![40001], json!([10004])),
        ("admin", "/api/v1/audit-events?actor=10005&pageSize=1", vec![40004], json!([10005])),
        ("admin", "/FHIR/R5/AuditEvent?patient=40001&_count=1", vec![40001], Value::Null),
        ("manager_mary", "/FHIR/R5/AuditEvent?patient=40001&_count=1", vec![40001], Value::Null),
    ] {
        let end = world.audit_end().await;
        let (status, answer) = world.get(user, path).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let [event] = &world.audit_after(end).await[..] else { panic!("{path}: one record") };
        assert_eq!(event.patients, patients, "{path}");
        let detail: Value =
            world.sql(&format!("SELECT detail FROM audit_event WHERE id > {end} ORDER BY id LIMIT 1")).await[0].get(0);
        assert!(users.is_null() || detail["users"] == users, "{path}: {detail}");
    }
}

#[tokio::test]
async fn who_left_an_organization_is_named_in_what_was_before_and_in_the_leaving_alone() {
    let world = World::new().await;
    assert_eq!(world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await.0, StatusCode::OK);
    // Peter does something with an event of the organization.
    let (status, answer) = world.send("ll_patient_peter", Method::DELETE, "/api/v1/studies/30001", &Value::Null).await;
    assert!(status.is_client_error(), "{answer}");
    let seen = async |manager: &str, path: &str| -> Vec<(Value, Value)> {
        let (status, page) = world.get(manager, path).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let rows = page["results"].as_array().expect("rows").iter();
        rows.map(|row| (row["resourceType"].clone(), row["patientIds"].clone())).collect()
    };
    let lab = "/api/v1/organizations/20003/audit-events";
    let before = seen("manager_mary", &format!("{lab}?actor=10004&patient=40001")).await;
    let own = seen("manager_mary", &format!("{lab}?actor=10006")).await.len();
    assert!(before.len() == 1 && own > 0, "{before:?} {own}");
    let path = "/api/v1/patients/40001?organizationId=20003";
    assert_eq!(world.send("manager_mary", Method::DELETE, path, &Value::Null).await.0, StatusCode::NO_CONTENT);

    assert_eq!(seen("manager_mary", &format!("{lab}?actor=10004&patient=40001")).await, before);
    assert_eq!(seen("manager_mary", &format!("{lab}?actor=10006")).await.len(), own, "the actor is found");
    let leaving = seen("manager_mary", &format!("{lab}?action=delete&patient=40001")).await;
    assert_eq!(leaving, [(json!("PatientOrganization"), json!([40001]))]);
    let (_, bundle) = world.get("manager_mary", "/FHIR/R5/AuditEvent?patient=40001&action=D").await;
    assert_eq!(bundle["entry"].as_array().map(Vec::len), Some(1), "{bundle}");
    // The patient still reads who it was.
    let (_, log) = world.get("ll_patient_peter", "/api/v1/patients/me/access-log?pageSize=1000").await;
    let of_victor = log["results"].as_array().expect("rows").iter().find(|row| row["actor"]["id"] == 10004);
    assert_eq!(of_victor.expect("a row")["organizations"][0]["id"], 20003, "{log}");
    // `jhe exposed` finds it by the organization.
    let between = ["--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z", "--organization", "20003"];
    let done = world.run(&[&["exposed", "--patient", "40001"][..], &between].concat());
    assert!(String::from_utf8_lossy(&done.stdout).contains("60001"), "{done:?}");

    // What comes afterwards is not the organization's to know, as an event of it that somebody else's patient is in.
    let end = world.audit_end().await;
    world
        .sql(
            "INSERT INTO audit_event (request_id, actor_user_id, actor_type, action, resource_type, organization_ids, study_ids, patient_ids,
                                      observation_ids, outcome, privileged)
             VALUES ('later', 10006, 'patient', 'search', 'Observation', '{20003}', '{}', '{40001,40002}', '{}', 'allowed', false)",
        )
        .await;
    let (_, page) = world.get("manager_mary", &format!("{lab}?pageSize=1000")).await;
    let later = page["results"].as_array().expect("rows").iter().find(|row| row["requestId"] == "later").expect("it");
    assert!(later["id"].as_i64() > Some(end) && later["patientIds"] == json!([40002]), "{later}");
    assert_eq!(later["actor"], Value::Null, "{later}");
    for (filter, expected) in [("patient=40001", 0), ("actor=10006", 0), ("patient=40002", 1)] {
        let (_, page) = world.get("manager_mary", &format!("{lab}?{filter}&pageSize=1000")).await;
        let found = page["results"].as_array().expect("rows").iter().filter(|row| row["requestId"] == "later").count();
        assert_eq!(found, expected, "{filter}");
    }
}

/// The migration of those who left before it was: as it stands, on what there was then.
#[tokio::test]
async fn who_left_before_it_was_kept_is_found_by_the_audit_or_the_ledger() {
    let world = World::new().await;
    for (manager, patient, organization) in [("manager_mary", 40001, 20003), ("manager_mary", 40002, 20003)] {
        let path = format!("/api/v1/patients/{patient}?organizationId={organization}");
        assert_eq!(world.send(manager, Method::DELETE, &path, &Value::Null).await.0, StatusCode::NO_CONTENT);
    }
    let kept = "SELECT patient_id, organization_id FROM patient_organization_past ORDER BY 1, 2";
    let of = |rows: Vec<tokio_postgres::Row>| -> Vec<(i32, i32)> {
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let expected = of(world.sql(kept).await);
    assert_eq!(expected, [(40001, 20003), (40002, 20003)]);
    world.sql("DELETE FROM patient_organization_past").await;
    let owner = world.as_owner().await;
    owner
        .batch_execute(include_str!("../../shared/store/migrations/V35__patients_of_before_now.sql"))
        .await
        .expect("applied");
    assert_eq!(of(world.sql(kept).await), expected);
    let left = "SELECT count(*) FROM patient_organization_past p JOIN audit_event e ON e.occurred_at = p.until AND e.action = 'delete'";
    assert_eq!(world.count(left).await, 2, "by the record of the leaving");
}

#[tokio::test]
async fn who_looks_for_events_of_somebody_elses_patient_is_in_no_log_of_that_patient() {
    let world = World::new().await;
    let (_, log) = world.get("ll_patient_peter", "/api/v1/patients/me/access-log?pageSize=1000").await;
    let before = log["results"].as_array().map(Vec::len);
    for (path, organizations) in [
        ("/FHIR/R5/AuditEvent?patient=40001", vec![]),
        ("/FHIR/R5/AuditEvent?patient=49999", vec![]),
        ("/FHIR/R5/AuditEvent?patient=40001,40003", vec![20007]),
        ("/api/v1/organizations/20007/audit-events?patient=40001", vec![20007]),
        ("/api/v1/organizations/20007/audit-events?patient=49999", vec![20007]),
    ] {
        let end = world.audit_end().await;
        let (status, answer) = world.get("manager_mark", path).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let [event] = &world.audit_after(end).await[..] else { panic!("{path}: one record") };
        let (asked, patients) = if path.ends_with("40003") {
            (json!([40001]), vec![40003])
        } else {
            let number: i32 = path.rsplit('=').next().expect("a number").parse().expect("a number");
            (json!([number]), vec![])
        };
        assert_eq!((&event.patients, &event.organizations), (&patients, &organizations), "{path}");
        let detail: Value =
            world.sql(&format!("SELECT detail FROM audit_event WHERE id > {end} ORDER BY id LIMIT 1")).await[0].get(0);
        assert_eq!(detail["others"], asked, "{path}");
    }
    let (_, log) = world.get("ll_patient_peter", "/api/v1/patients/me/access-log?pageSize=1000").await;
    // Only the reading before is new.
    assert_eq!(log["results"].as_array().map(Vec::len), before.map(|rows| rows + 1), "{log}");
    let between = ["--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z", "--user", "10008"];
    let done = world.run(&[&["exposed", "--patient", "40001"][..], &between].concat());
    assert!(done.status.success() && String::from_utf8_lossy(&done.stdout).contains("\"patients\":0"), "{done:?}");
}

#[tokio::test]
async fn what_managers_read_of_the_audit_by_fhir_is_of_the_organization_that_they_read_it_for() {
    let world = World::new().await;
    assert_eq!(world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await.0, StatusCode::OK);
    let id = world.audit_end().await;
    for path in ["/FHIR/R5/AuditEvent?patient=40001".to_owned(), format!("/FHIR/R5/AuditEvent/{id}")] {
        let (status, answer) = world.get("manager_mary", &path).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let event = newest(&world, "manager_mary", 20003, 10002).await;
        assert_eq!((&event["resourceType"], &event["role"]), (&json!("AuditEvent"), &json!("manager")), "{event}");
        assert_eq!(event["patientIds"], json!([40001]), "{event}");
    }
}

#[tokio::test]
async fn a_search_that_nothing_is_consented_for_is_of_the_organization_whose_patient_it_names() {
    let world = World::new().await;
    for query in [
        "Observation?patient=40001&code=https://w3id.org/openmhealth|omh:blood-glucose:4.0",
        "Observation?patient=40001&code=https://w3id.org/openmhealth|omh:blood-glucose:4.0&_summary=count",
        "Observation?patient=40001&_id=60003",
        "QuestionnaireResponse?patient=40001",
        "Patient?_id=40001&family=Nobody",
    ] {
        let end = world.audit_end().await;
        let (status, bundle) = world.get("viewer_victor", &format!("/FHIR/R5/{query}")).await;
        assert_eq!(status, StatusCode::OK, "{bundle}");
        let [event] = &world.audit_after(end).await[..] else { panic!("{query}: one record") };
        assert_eq!((&event.organizations[..], event.role.as_deref()), (&[20003][..], Some("viewer")), "{query}");
        assert_eq!(newest(&world, "manager_mary", 20003, 10004).await["patientIds"], json!([40001]), "{query}");
    }
    // Tom reaches Peter by one of his organizations and finds only what is another patient's.
    let end = world.audit_end().await;
    let path = "/FHIR/R5/Observation?patient=40001,40004&code=https://w3id.org/openmhealth|omh:blood-glucose:4.0";
    assert_eq!(world.get("three_org_tom", path).await.0, StatusCode::OK);
    let [event] = &world.audit_after(end).await[..] else { panic!("one record") };
    assert_eq!(event.organizations, [20003, 20008]);
}
