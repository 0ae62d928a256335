//! The life of studies: what follows what, when researchers lose access, and what patients see of it.

use end_to_end::{World, answer, ids, point};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const STUDY: &str = "/api/v1/studies/30001";
const BP: &str = "omh:blood-pressure:4.0";
const HR: &str = "omh:heart-rate:2.0";

async fn change(world: &World, user: &str, path: &str, body: Value) -> (StatusCode, Value) {
    answer(world.request(user, Method::PATCH, path).json(&body)).await
}

/// Changes the study of Peter and Pamela as its manager.
async fn changed(world: &World, body: Value) -> Value {
    let (status, study) = change(world, "manager_mary", STUDY, body).await;
    assert_eq!(status, StatusCode::OK, "{study}");
    study
}

/// How many of Peter's observations Victor finds by the patient, by the study, and by its id.
async fn seen(world: &World) -> [usize; 3] {
    let found =
        async |query: &str| ids(&world.get("viewer_victor", &format!("/FHIR/R5/Observation?{query}")).await.1).len();
    let read = world.get("viewer_victor", "/FHIR/R5/Observation/60001").await.0 == StatusCode::OK;
    let by_study = found("_has:Group:member:_id=30001&patient=40001").await;
    // The same without a patient walks the feed of the study.
    let by_feed = found("_has:Group:member:_id=30001").await;
    assert_eq!(by_study == 0, by_feed == 0);
    [found("patient=40001").await, by_study, usize::from(read)]
}

fn decision(code: &str, consented: bool) -> Value {
    json!({ "studyScopeConsents": [{ "studyId": 30001, "scopeConsents": [
        { "codingSystem": "https://w3id.org/openmhealth", "codingCode": code, "consented": consented }] }] })
}

async fn decide(world: &World, method: Method, code: &str, consented: bool) -> (StatusCode, Value) {
    let request = world.request("ll_patient_peter", method, "/api/v1/patients/40001/consents");
    answer(request.json(&decision(code, consented))).await
}

#[tokio::test]
async fn researchers_lose_access_when_the_grace_period_of_a_completed_study_is_over() {
    let world = World::new().await;
    assert_eq!(seen(&world).await, [2, 2, 1]);
    let study = changed(&world, json!({ "status": "completed" })).await;
    let end: jiff::Timestamp = study["accessUntil"].as_str().expect("an end").parse().expect("an instant");
    let days = end.duration_since(jiff::Timestamp::now()).as_hours();
    assert!((30 * 24 - 1..=30 * 24).contains(&days), "{study}");
    assert_eq!(seen(&world).await, [2, 2, 1], "they finish what they have begun");

    world.sql("UPDATE study SET access_until = clock_timestamp() WHERE id = 30001").await;
    assert_eq!(seen(&world).await, [0, 0, 0]);
    assert_eq!(ids(&world.get("ll_patient_peter", "/FHIR/R5/Observation").await.1).len(), 2, "patients see their own");
    assert_eq!(world.count("SELECT count(*) FROM consent_event").await, 12, "the ledger is as it was");
}

#[tokio::test]
async fn researchers_lose_access_when_the_last_day_has_passed() {
    let world = World::with(&[("STUDY_GRACE_DAYS", "0")]).await;
    let yesterday = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24);
    let yesterday = yesterday.to_zoned(jiff::tz::TimeZone::UTC).date();
    changed(&world, json!({ "endsOn": "2999-12-31" })).await;
    assert_eq!(seen(&world).await, [2, 2, 1]);
    let study = changed(&world, json!({ "endsOn": yesterday })).await;
    assert_eq!((&study["status"], study["endsOn"].as_str()), (&json!("active"), Some(yesterday.to_string().as_str())));
    assert_eq!(seen(&world).await, [0, 0, 0]);
}

#[tokio::test]
async fn without_a_grace_period_access_ends_with_the_study() {
    let world = World::with(&[("STUDY_GRACE_DAYS", "0")]).await;
    changed(&world, json!({ "status": "completed" })).await;
    assert_eq!(seen(&world).await, [0, 0, 0]);
}

#[tokio::test]
async fn an_archived_study_gives_no_access_and_a_draft_none_yet() {
    let world = World::new().await;
    changed(&world, json!({ "status": "archived" })).await;
    assert_eq!(seen(&world).await, [0, 0, 0]);
    let new = json!({ "name": "N", "description": "D", "organization": 20003, "status": "draft" });
    let (_, draft) = world.post("manager_mary", "/api/v1/studies", &new).await;
    assert_eq!((&draft["status"], &draft["accessUntil"]), (&json!("draft"), &Value::Null));
    let gives = format!("SELECT count(*) FROM study WHERE id = {} AND access_until > now()", draft["id"]);
    assert_eq!(world.count(&gives).await, 0);
    // The database refuses a draft or an archived study that would give access, whoever writes it.
    let owner = world.as_owner().await;
    for status in ["draft", "archived"] {
        let statement = format!("UPDATE study SET status = '{status}', access_until = 'infinity' WHERE id = 30002");
        assert!(owner.batch_execute(&statement).await.is_err(), "{status}");
    }
}

#[tokio::test]
async fn which_status_follows_which() {
    let world = World::new().await;
    for (from, next, expected) in [
        ("draft", "draft", 200),
        ("active", "active", 200),
        ("completed", "completed", 200),
        ("archived", "archived", 200),
        ("draft", "active", 200),
        ("draft", "archived", 200),
        ("draft", "completed", 409),
        ("active", "completed", 200),
        ("active", "archived", 200),
        ("active", "draft", 409),
        ("completed", "active", 200),
        ("completed", "archived", 200),
        ("completed", "draft", 409),
        ("archived", "active", 409),
        ("archived", "completed", 409),
        ("archived", "draft", 409),
    ] {
        let gives = if matches!(from, "draft" | "archived") { "-infinity" } else { "infinity" };
        let statement = format!("UPDATE study SET status = '{from}', access_until = '{gives}' WHERE id = 30002");
        world.sql(&statement).await;
        let path = "/api/v1/studies/30002";
        let (status, body) = change(&world, "manager_mary", path, json!({ "status": next })).await;
        assert_eq!(status.as_u16(), expected, "{from} to {next}: {body}");
        let now = world.get("manager_mary", path).await.1["status"].clone();
        assert_eq!(now, if expected == 200 { next } else { from }, "{from} to {next}");
    }
}

#[tokio::test]
async fn an_archived_study_is_closed_to_changes_and_every_other_is_not() {
    let world = World::new().await;
    let path = "/api/v1/studies/30002";
    for (from, gives) in
        [("draft", "-infinity"), ("active", "infinity"), ("completed", "infinity"), ("archived", "-infinity")]
    {
        for body in [
            json!({ "endsOn": "2999-01-01" }),
            json!({ "startsOn": "2020-01-01" }),
            json!({ "name": "Another" }),
            json!({ "description": "Another" }),
            json!({ "iconUrl": "https://a.example/i.png" }),
            json!({ "retentionPolicy": { "days": 10 } }),
            json!({ "status": from, "endsOn": "2999-01-01" }),
        ] {
            let statement = format!(
                "UPDATE study SET status = '{from}', access_until = '{gives}', name = 'N', description = 'D', starts_on = NULL,
                                  ends_on = NULL, icon_url = NULL, retention_days = NULL WHERE id = 30002"
            );
            world.sql(&statement).await;
            let (_, before) = world.get("manager_mary", path).await;
            for user in ["manager_mary", "admin"] {
                let expected = if from == "archived" { StatusCode::CONFLICT } else { StatusCode::OK };
                let (status, told) = change(&world, user, path, body.clone()).await;
                assert_eq!(status, expected, "{user} {from} {body}: {told}");
            }
            if from == "archived" {
                assert_eq!(world.get("manager_mary", path).await.1, before, "{body}");
                // What says the same as before changes nothing.
                let same = json!({ "name": "N", "status": "archived", "endsOn": null });
                assert_eq!(change(&world, "manager_mary", path, same).await.0, StatusCode::OK);
            }
        }
    }
    let end = world.audit_end().await;
    for (needs, body) in [
        ("scope_requests", json!({ "scopeCodeId": 50002 })),
        ("data_sources", json!({ "dataSourceId": 70001 })),
        ("clients", json!({ "clientId": 1 })),
    ] {
        for method in [Method::POST, Method::DELETE] {
            let request = world.request("manager_mary", method.clone(), &format!("{path}/{needs}")).json(&body);
            let (status, told) = answer(request).await;
            assert_eq!(status, StatusCode::CONFLICT, "{method} {needs}: {told}");
        }
    }
    let events = world.audit_after(end).await;
    assert_eq!(events.iter().filter(|event| event.refused_by.as_deref() == Some("invalid")).count(), 6);
}

#[tokio::test]
async fn what_has_ended_is_taken_up_again_within_the_grace_period_only() {
    let world = World::new().await;
    changed(&world, json!({ "status": "completed" })).await;
    changed(&world, json!({ "status": "active" })).await;
    changed(&world, json!({ "status": "completed" })).await;
    world.sql("UPDATE study SET access_until = clock_timestamp() WHERE id = 30001").await;
    let end = world.audit_end().await;
    for body in [json!({ "status": "active" }), json!({ "status": "active", "endsOn": "2999-01-01" })] {
        let (status, answer) = change(&world, "manager_mary", STUDY, body.clone()).await;
        assert_eq!(status, StatusCode::CONFLICT, "{body}: {answer}");
        assert!(answer["detail"].as_str().is_some_and(|text| text.contains("not opened again")), "{answer}");
    }
    let events = world.audit_after(end).await;
    let refused: Vec<_> = events.iter().map(|event| (event.outcome.as_str(), event.refused_by.as_deref())).collect();
    assert_eq!(refused, [("denied", Some("invalid")), ("denied", Some("invalid"))]);
    assert_eq!(seen(&world).await, [0, 0, 0]);
    // Its name can still be mended, and that opens nothing.
    changed(&world, json!({ "name": "Lifespan Study, 2025" })).await;
    assert_eq!(seen(&world).await, [0, 0, 0]);
}

#[tokio::test]
async fn a_study_that_has_ended_takes_nothing_new_and_consent_can_still_be_withdrawn() {
    for end in [json!({ "status": "completed" }), json!({ "endsOn": "2020-01-01" }), json!({ "status": "archived" })] {
        let world = World::new().await;
        world.sql("INSERT INTO patient_organization VALUES (40003, 20003)").await;
        world.record_consent(40001, 30001, 50004, "withdrawn").await;
        changed(&world, end.clone()).await;
        for (user, path, body) in [
            ("member_megan", "/api/v1/studies/30001/patients", json!({ "patientIds": [40003] })),
            ("manager_mary", "/api/v1/studies/30001/scope_requests", json!({ "scopeCodeId": 50001 })),
            ("manager_mary", "/api/v1/studies/30001/data_sources", json!({ "dataSourceId": 70002 })),
            ("manager_mary", "/api/v1/studies/30001/clients", json!({ "clientId": 2 })),
        ] {
            let (status, body) = world.post(user, path, &body).await;
            assert_eq!(status, StatusCode::CONFLICT, "{end} {path}: {body}");
        }
        let (status, body) = decide(&world, Method::PATCH, HR, true).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{end}: {body}");
        assert!(
            body["studyScopeConsents[0].scopeConsents[0]"][0].as_str().is_some_and(|text| text.contains("not running"))
        );
        assert_eq!(decide(&world, Method::DELETE, BP, false).await.0, StatusCode::NO_CONTENT, "{end}");
        let withdrawn = "SELECT count(*) FROM consent_current WHERE (patient_id, study_id, scope_id) = (40001, 30001, 50002) AND decision = 'withdrawn'";
        assert_eq!(world.count(withdrawn).await, 1, "{end}");
    }
}

#[tokio::test]
async fn an_app_is_not_invited_for_studies_that_have_ended() {
    let world = World::new().await;
    let invitation = json!({ "patientId": 40001, "client_id": 1 });
    changed(&world, json!({ "status": "completed" })).await;
    let invite = async || world.post("member_megan", "/api/v1/invitation", &invitation).await;
    assert_eq!(invite().await.0, StatusCode::CREATED, "another study of the patient uses the app");
    let (status, body) =
        change(&world, "manager_mary", "/api/v1/studies/30002", json!({ "endsOn": "2020-01-01" })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(invite().await.0, StatusCode::CONFLICT);
    world.sql("DELETE FROM study_client WHERE client_id = 1").await;
    assert_eq!(invite().await.0, StatusCode::CREATED, "an app of no study");
}

#[tokio::test]
async fn uploads_stay_possible_after_the_end_and_are_seen_by_the_patient_alone() {
    let world = World::with(&[("STUDY_GRACE_DAYS", "0")]).await;
    changed(&world, json!({ "status": "completed" })).await;
    let resource = point::observation(40001, 70001, &point::heart_rate(61, "2026-02-01T08:00:00Z"), "");
    let (status, body) = world.post("ll_patient_peter", "/FHIR/R5/Observation", &resource).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    assert_eq!(ids(&world.get("ll_patient_peter", "/FHIR/R5/Observation").await.1).len(), 3);
    assert_eq!(seen(&world).await, [0, 0, 0]);
}

#[tokio::test]
async fn patients_see_in_their_consents_that_a_study_has_ended_and_who_still_has_access() {
    let world = World::new().await;
    // A scope of which nothing is decided.
    world.sql("INSERT INTO study_scope_request VALUES (30001, 50001)").await;
    let read = async |path: &str| world.get("ll_patient_peter", path).await.1;
    let path = "/api/v1/patients/40001/consents";
    let study = |list: &Value| -> Option<Value> {
        list.as_array().expect("a list").iter().find(|study| study["id"] == 30001).cloned()
    };
    let before = read(path).await;
    let shown = study(&before["studies"]).expect("the study");
    assert_eq!((&shown["status"], &shown["endsOn"]), (&json!("active"), &Value::Null));
    assert_eq!((&shown["accessUntil"], &shown["researchersHaveAccess"]), (&Value::Null, &json!(true)));
    assert!(study(&before["studiesPendingConsent"]).is_some());
    assert_eq!(before["consolidatedConsentedScopes"].as_array().map(Vec::len), Some(3));

    changed(&world, json!({ "status": "completed", "endsOn": "2999-01-01" })).await;
    let within = read(path).await;
    let shown = study(&within["studies"]).expect("the study");
    assert_eq!((&shown["status"], &shown["endsOn"]), (&json!("completed"), &json!("2999-01-01")));
    assert!(shown["accessUntil"].is_string() && shown["researchersHaveAccess"] == true, "{shown}");
    assert_eq!(study(&within["studiesPendingConsent"]), None, "it waits for no decision");

    world.sql("UPDATE study SET access_until = clock_timestamp() WHERE id = 30001").await;
    let after = read(path).await;
    let shown = study(&after["studies"]).expect("the study");
    assert_eq!(shown["researchersHaveAccess"], false);
    assert_eq!(shown["scopeConsents"].as_array().map(Vec::len), Some(3), "what was granted is still told");
    assert_eq!(after["consolidatedConsentedScopes"], json!([]), "nobody may have anything by it");
}
