//! Changing a patient's record, and taking a patient out of an organization: who may, what stays, and what is on record.

use end_to_end::{World, answer, row_ids};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

const PETER: &str = "/api/v1/patients/40001";
/// Peter, as the Lifespan Lab may leave him.
const LEAVE: &str = "/api/v1/patients/40001?organizationId=20003";

async fn patch(world: &World, user: &str, path: &str, body: &Value) -> (StatusCode, Value) {
    answer(world.request(user, Method::PATCH, path).json(body)).await
}

async fn delete(world: &World, user: &str, path: &str) -> StatusCode {
    answer(world.request(user, Method::DELETE, path)).await.0
}

#[tokio::test]
async fn who_changes_a_patient_is_decided_by_the_patients_organizations_not_by_one_that_is_named() {
    let world = World::new().await;
    for (user, query, expected) in [
        ("member_megan", "", 200),
        ("manager_mary", "?organizationId=20003", 200),
        ("admin", "", 200),
        ("viewer_victor", "", 403),
        ("three_org_tom", "", 403),
        ("ll_patient_peter", "", 403),
        ("ll_patient_pamela", "", 403),
        ("manager_mark", "", 404),
        // Organizations of the caller, and not of the patient.
        ("three_org_tom", "?organizationId=20008", 403),
        ("manager_mark", "?organizationId=20007", 404),
    ] {
        let before = world.get("admin", PETER).await.1;
        let end = world.audit_end().await;
        let (status, body) =
            patch(&world, user, &format!("{PETER}{query}"), &json!({ "nameGiven": format!("By {user}") })).await;
        assert_eq!(status.as_u16(), expected, "{user} {query}: {body}");
        let event = &world.audit_after(end).await[0];
        assert_eq!((event.action.as_str(), event.patients.as_slice()), ("update", [40001].as_slice()), "{user}");
        assert_eq!(event.outcome, if expected == 200 { "allowed" } else { "denied" }, "{user} {query}");
        if expected == 200 {
            assert_eq!(body["nameGiven"], format!("By {user}"));
            assert_eq!(body["nameFamily"], before["nameFamily"]);
        } else {
            assert_eq!(world.get("admin", PETER).await.1, before, "{user} {query}");
        }
    }
    assert_eq!(patch(&world, "admin", "/api/v1/patients/49999", &json!({})).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_change_is_kept_with_what_was_before_and_after() {
    let world = World::new().await;
    let end = world.audit_end().await;
    let body = json!({ "birthDate": "1982-01-14", "telecomPhone": null,
        "identifiers": [{ "id": 2, "system": "urn:oid:1.2.3.4", "value": "E1234" }, { "system": "urn:new", "value": "N" }] });
    let (status, patient) = patch(&world, "member_megan", PETER, &body).await;
    assert_eq!(status, StatusCode::OK, "{patient}");
    assert_eq!((&patient["birthDate"], &patient["telecomPhone"]), (&json!("1982-01-14"), &Value::Null));
    let identifiers = patient["identifiers"].as_array().expect("a list");
    assert_eq!(identifiers.len(), 2);
    // Who had it keeps its id.
    assert_eq!(identifiers[0], json!({ "id": 2, "system": "urn:oid:1.2.3.4", "value": "E1234" }));
    let rows = world
        .sql(&format!(
            "SELECT c.before::text, c.after::text FROM audit_change c JOIN audit_event e ON e.id = c.event_id
              WHERE e.id > {end} AND e.action = 'update'"
        ))
        .await;
    let change = |column: usize| serde_json::from_str::<Value>(rows[0].get(column)).expect("JSON");
    assert_eq!(
        change(0),
        json!({ "birth_date": "1982-01-13", "telecom_phone": "+1-157-915-3889",
            "identifiers": [["https://openwearables.io/ns/patient-id", "abc123"], ["urn:oid:1.2.3.4", "E1234"]] })
    );
    assert_eq!(
        change(1),
        json!({ "birth_date": "1982-01-14", "telecom_phone": null, "identifiers": [["urn:new", "N"], ["urn:oid:1.2.3.4", "E1234"]] })
    );
}

#[tokio::test]
async fn what_is_not_valid_changes_nothing_and_the_field_is_named() {
    let world = World::new().await;
    let before = world.get("admin", PETER).await.1;
    for (body, field) in [
        (json!({ "birthDate": "2999-01-01" }), "birthDate"),
        (json!({ "nameFamily": null }), "nameFamily"),
        (json!({ "nameGiven": " " }), "nameGiven"),
        (json!({ "nameGiven": "Pe\u{2066}ter" }), "nameGiven"),
        (json!({ "nameFamily": "P\u{200f}eter" }), "nameFamily"),
        (json!({ "jheUserId": 10001 }), "jheUserId"),
        (json!({ "organizations": [] }), "organizations"),
        (json!({ "telecomEmail": "x" }), "telecomEmail"),
        (
            json!({ "identifiers": [{ "system": "a", "value": "b" }, { "system": "a", "value": "b" }] }),
            "identifiers[1]",
        ),
        (json!({ "identifiers": [{ "system": "a" }] }), "identifiers[0].value"),
    ] {
        let (status, problems) = patch(&world, "member_megan", PETER, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(problems.get(field).is_some(), "{body}: {problems}");
    }
    let taken = json!({ "identifiers": [{ "system": "urn:x", "value": "1" }, { "system": "urn:oid:1.2.3.4", "value": "E1234" }] });
    let (status, problems) = patch(&world, "member_megan", "/api/v1/patients/40002", &taken).await;
    assert_eq!((status, problems.get("identifiers[1]").is_some()), (StatusCode::BAD_REQUEST, true), "{problems}");
    // A patient of another organization may have the same.
    let (status, _) = patch(&world, "manager_mark", "/api/v1/patients/40003", &taken).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(world.get("admin", PETER).await.1, before);
}

#[tokio::test]
async fn only_the_version_that_was_read_is_changed() {
    let world = World::new().await;
    let reply = world.request("member_megan", Method::GET, PETER).send().await.expect("an answer");
    let tag = reply.headers()[header::ETAG].to_str().expect("text").to_owned();
    let change = |family: &'static str| {
        answer(
            world
                .request("member_megan", Method::PATCH, PETER)
                .header(header::IF_MATCH, &tag)
                .json(&json!({ "nameFamily": family })),
        )
    };
    assert_eq!(change("First").await.0, StatusCode::OK);
    assert_eq!(change("Second").await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(world.get("member_megan", PETER).await.1["nameFamily"], "First");
}

#[tokio::test]
async fn the_e_mail_of_an_account_in_use_is_its_owners() {
    let world = World::new().await;
    let (_, new) = world
        .post(
            "member_megan",
            "/api/v1/patients",
            &json!({ "organizationId": 20003, "telecomEmail": "wrong@example.com", "nameFamily": "F", "nameGiven": "G",
                "birthDate": "1990-01-01" }),
        )
        .await;
    let (id, user) = (&new["id"], &new["jheUserId"]);
    let path = format!("/api/v1/patients/{id}");
    world
        .sql(&format!(
            "INSERT INTO invitation (patient_id, client_id, token_hash, issued_by, expires_at, emailed)
             VALUES ({id}, 1, sha256('x'), 10003, now() + interval '1 day', true)"
        ))
        .await;
    world
        .sql(&format!(
            "INSERT INTO account_link (token_hash, user_id, purpose, expires_at)
             VALUES (sha256('y'), {user}, 'sign_up', now() + interval '1 day')"
        ))
        .await;
    let (status, patient) =
        patch(&world, "member_megan", &path, &json!({ "telecomEmail": "right@example.com", "nameFamily": "Right" }))
            .await;
    assert_eq!((status, &patient["telecomEmail"]), (StatusCode::OK, &json!("right@example.com")));
    let account = world.sql(&format!("SELECT email, last_name FROM app_user WHERE id = {user}")).await;
    assert_eq!((account[0].get::<_, &str>(0), account[0].get::<_, &str>(1)), ("right@example.com", "Right"));
    // What was sent to the wrong address is worth nothing.
    assert_eq!(world.count("SELECT count(*) FROM invitation WHERE status = 'issued'").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM account_link WHERE used_at IS NULL").await, 0);

    let (status, problems) =
        patch(&world, "member_megan", &path, &json!({ "telecomEmail": "Manager_Mary@example.com" })).await;
    assert_eq!((status, problems.get("telecomEmail").is_some()), (StatusCode::BAD_REQUEST, true), "{problems}");

    for used in [
        format!("UPDATE app_user SET password_hash = 'x' WHERE id = {user}"),
        format!("UPDATE app_user SET password_hash = NULL, email_verified_at = now() WHERE id = {user}"),
        format!("UPDATE app_user SET email_verified_at = NULL WHERE id = {user}"),
    ] {
        world.sql(&used).await;
        if used.contains("= NULL WHERE") {
            world
                .sql(&format!(
                    "INSERT INTO oauth_grant (user_id, client_id, scope, auth_time) VALUES ({user}, 1, 'openid', now())"
                ))
                .await;
        }
        let stolen = json!({ "telecomEmail": "mine@example.com" });
        let (status, problems) = patch(&world, "member_megan", &path, &stolen).await;
        assert_eq!((status, problems.get("telecomEmail").is_some()), (StatusCode::BAD_REQUEST, true), "{used}");
    }
    // The rest of the record is still the coordinator's.
    let same = json!({ "telecomEmail": "right@example.com", "nameGiven": "Changed" });
    assert_eq!(patch(&world, "member_megan", &path, &same).await.0, StatusCode::OK);
}

#[tokio::test]
async fn who_takes_a_patient_out_of_an_organization() {
    let world = World::new().await;
    for (user, path, expected) in [
        ("member_megan", PETER, 400),
        ("member_megan", "/api/v1/patients/40001?organizationId=x", 400),
        ("ll_patient_peter", LEAVE, 403),
        ("viewer_victor", LEAVE, 403),
        ("three_org_tom", LEAVE, 403),
        ("manager_mark", LEAVE, 404),
        ("manager_mark", "/api/v1/patients/40001?organizationId=20007", 404),
        ("member_megan", "/api/v1/patients/40003?organizationId=20003", 404),
        ("member_megan", "/api/v1/patients/49999?organizationId=20003", 404),
        ("admin", "/api/v1/patients/40001?organizationId=29999", 404),
    ] {
        let before = world.count("SELECT count(*) FROM patient_organization").await;
        assert_eq!(delete(&world, user, path).await.as_u16(), expected, "{user} {path}");
        assert_eq!(world.count("SELECT count(*) FROM patient_organization").await, before, "{user} {path}");
    }
}

#[tokio::test]
async fn leaving_ends_the_enrolments_and_keeps_the_patient_the_data_and_the_consents() {
    let world = World::new().await;
    let counts = async || {
        let mut counts = Vec::new();
        for table in ["patient", "app_user", "observation", "consent_event", "access_token"] {
            counts.push(world.count(&format!("SELECT count(*) FROM {table}")).await);
        }
        counts
    };
    let (before, end) = (counts().await, world.audit_end().await);
    assert_eq!(delete(&world, "member_megan", LEAVE).await, StatusCode::NO_CONTENT);
    assert_eq!(counts().await, before);
    assert_eq!(world.count("SELECT count(*) FROM study_patient WHERE patient_id = 40001").await, 0);
    let rows = world
        .sql(&format!(
            "SELECT study_ids, patient_ids, organization_ids FROM audit_event WHERE id > {end} AND action = 'delete'"
        ))
        .await;
    assert_eq!(rows[0].get::<_, Vec<i32>>(0), [30001, 30002]);
    assert_eq!((rows[0].get::<_, Vec<i32>>(1), rows[0].get::<_, Vec<i32>>(2)), (vec![40001], vec![20003]));
    // It was the last organization: nobody but the patient and a super admin sees the record.
    assert_eq!(world.get("member_megan", PETER).await.0, StatusCode::NOT_FOUND);
    assert_eq!(row_ids(&world.get("member_megan", "/api/v1/patients").await.1), [40002]);
    assert_eq!(world.get("ll_patient_peter", PETER).await.0, StatusCode::OK);
    assert_eq!(world.get("admin", PETER).await.0, StatusCode::OK);
    let (_, own) = world.get("ll_patient_peter", "/FHIR/R5/Observation").await;
    assert!(own["entry"].as_array().is_some_and(|entries| !entries.is_empty()), "{own}");
}

#[tokio::test]
async fn the_functions_login_corrects_an_account_by_the_one_function_only() {
    let world = World::new().await;
    let client = world.as_function().await;
    let changed = client.query_one("SELECT correct_patient_account(40001, 'mine@example.com', NULL, NULL)", &[]).await;
    assert_eq!(changed.expect("called").get::<_, &str>(0), "used");
    for statement in [
        "UPDATE app_user SET email = 'x@example.com' WHERE id = 10006",
        "DELETE FROM patient",
        "DELETE FROM patient_import",
    ] {
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(error.code().map(|state| state.code().to_owned()).as_deref(), Some("42501"), "{statement}");
    }
}
