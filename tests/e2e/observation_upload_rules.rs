//! Who may upload for whom, and what consent an upload needs.

use end_to_end::{
    World, ids,
    point::{blood_glucose, blood_pressure, heart_rate, observation, point},
    reply::Reply,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PATH: &str = "/FHIR/R5/Observation";
const PETER: i32 = 40001;
const CAREX: i32 = 70001;
const BLOOD_PRESSURE: i32 = 50002;
const AT: &str = "2026-02-01T08:00:00Z";

async fn upload(world: &World, user: &str, resource: &Value) -> Reply {
    Reply::to(world.request(user, Method::POST, PATH).json(resource)).await
}

fn temperature() -> Value {
    let body =
        json!({ "body_temperature": { "unit": "C", "value": 36.5 }, "effective_time_frame": { "date_time": AT } });
    point("omh:body-temperature:4.0", &body)
}

fn oxygen() -> Value {
    let body =
        json!({ "oxygen_saturation": { "unit": "%", "value": 96 }, "effective_time_frame": { "date_time": AT } });
    point("omh:oxygen-saturation:2.0", &body)
}

#[tokio::test]
async fn patients_upload_for_themselves_and_members_and_managers_for_their_patients() {
    let world = World::new().await;
    let pressure = blood_pressure(120, AT);
    let cases = [
        // The patient, and other patients of the same and of another organization.
        ("ll_patient_peter", PETER, CAREX, &pressure, 201, ""),
        ("ll_patient_pamela", PETER, CAREX, &pressure, 403, "user_type"),
        ("npl_patient_percy", PETER, CAREX, &pressure, 403, "user_type"),
        // The roles of the patient's organization.
        ("manager_mary", PETER, CAREX, &pressure, 201, ""),
        ("member_megan", PETER, CAREX, &pressure, 201, ""),
        ("viewer_victor", PETER, CAREX, &pressure, 403, "role"),
        ("three_org_tom", PETER, CAREX, &pressure, 403, "role"),
        // Roles elsewhere count only there.
        ("manager_mark", PETER, CAREX, &pressure, 403, "organization"),
        ("three_org_tom", 40003, 70003, &temperature(), 201, ""),
        ("three_org_tom", 40004, 70003, &oxygen(), 201, ""),
        ("manager_mark", 40003, 70003, &temperature(), 201, ""),
        ("manager_mary", 40003, 70003, &temperature(), 403, "organization"),
        // Who does not exist is answered like who is elsewhere. Only the audit knows the difference.
        ("manager_mary", 49999, CAREX, &pressure, 403, "not_found"),
        ("ll_patient_peter", 49999, CAREX, &pressure, 403, "user_type"),
        ("admin", PETER, CAREX, &pressure, 403, "user_type"),
        ("admin", 49999, CAREX, &pressure, 403, "user_type"),
    ];
    for (user, patient, device, point, status, layer) in cases {
        let what = format!("{user} for {patient}");
        let before = world.stored().await;
        let end = world.audit_end().await;
        let reply = upload(&world, user, &observation(patient, device, point, "")).await;
        let stored = i64::from(status == 201);
        assert_eq!(reply.status.as_u16(), status, "{what}: {}", reply.text);
        if status != 201 {
            reply.refusal(status, &what);
        }
        assert_eq!(world.stored().await.observations, before.observations + stored, "{what}");
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), 1, "{what}: {events:?}");
        assert_eq!(events[0].refused_by.as_deref().unwrap_or_default(), layer, "{what}");
        let exists = if patient == 49999 { vec![] } else { vec![patient] };
        assert_eq!(events[0].patients, exists, "{what}");
    }
}

#[tokio::test]
async fn refusals_do_not_tell_who_exists() {
    let world = World::new().await;
    let body = |patient| observation(patient, CAREX, &blood_pressure(120, AT), "");
    for user in ["manager_mary", "ll_patient_pamela"] {
        let existing = upload(&world, user, &body(40003)).await;
        let unknown = upload(&world, user, &body(49999)).await;
        assert_eq!((existing.status, existing.text), (unknown.status, unknown.text), "{user}");
    }
}

#[tokio::test]
async fn nobody_uploads_without_a_token() {
    let world = World::new().await;
    let before = world.stored().await;
    let resource = observation(PETER, CAREX, &blood_pressure(120, AT), "");
    let reply = Reply::to(world.anonymous(Method::POST, PATH).json(&resource)).await;
    reply.refusal(401, "anonymous");
    assert!(reply.header("www-authenticate").starts_with("Bearer realm=\"api\""));
    let request = world.anonymous(Method::POST, PATH).bearer_auth("0".repeat(43)).json(&resource);
    Reply::to(request).await.refusal(401, "unknown token");
    assert_eq!(world.stored().await, before);
}

#[tokio::test]
async fn a_code_that_was_never_granted_is_refused_whoever_uploads() {
    let world = World::new().await;
    // Refused is not granted, whatever other patients granted.
    world.record_consent(PETER, 30003, 50001, "refused").await;
    let before = world.stored().await;
    let resource = observation(PETER, CAREX, &blood_glucose(95, AT), "never");
    for user in ["ll_patient_peter", "member_megan", "manager_mary"] {
        let end = world.audit_end().await;
        let outcome = upload(&world, user, &resource).await.refusal(403, user);
        let text = outcome["issue"][0]["diagnostics"].as_str().expect("a text");
        assert!(text.contains("has not been consented for any studies by this Patient"), "{text}");
        assert!(text.contains("omh:blood-glucose:4.0"), "{text}");
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0].refused_by.as_deref(), Some("consent"), "{user}");
    }
    assert_eq!(world.stored().await, before);
}

#[tokio::test]
async fn what_was_granted_once_and_is_withdrawn_is_stored_for_the_patient_and_hidden_from_practitioners() {
    let world = World::new().await;
    world.record_consent(PETER, 30001, BLOOD_PRESSURE, "withdrawn").await;
    let before = world.stored().await;
    let created =
        upload(&world, "ll_patient_peter", &observation(PETER, CAREX, &blood_pressure(118, AT), "late")).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    let id = created.json()["id"].as_str().expect("an id").to_owned();
    let after = world.stored().await;
    assert_eq!(after.observations, before.observations + 1);
    assert_eq!(after.feed, before.feed, "in no study's feed");

    let read = format!("{PATH}/{id}");
    for user in ["viewer_victor", "member_megan", "manager_mary"] {
        assert_eq!(world.get(user, &read).await.0, StatusCode::NOT_FOUND, "{user}");
        for search in ["patient=40001", "patient._has:Group:member:_id=30001&_count=100"] {
            let (_, found) = world.get(user, &format!("{PATH}?{search}")).await;
            assert!(!ids(&found).contains(&id), "{user} {search}");
        }
    }
    assert_eq!(world.get("ll_patient_peter", &read).await.0, StatusCode::OK);
    assert!(ids(&world.get("ll_patient_peter", PATH).await.1).contains(&id));

    world.record_consent(PETER, 30001, BLOOD_PRESSURE, "granted").await;
    for search in ["patient=40001", "patient._has:Group:member:_id=30001&_count=100"] {
        let (_, found) = world.get("viewer_victor", &format!("{PATH}?{search}")).await;
        assert!(ids(&found).contains(&id), "nothing is lost: {search}");
    }
}

#[tokio::test]
async fn a_deployment_can_refuse_what_is_withdrawn() {
    let world = World::with(&[("UPLOAD_WHEN_REVOKED", "reject")]).await;
    world.record_consent(PETER, 30001, BLOOD_PRESSURE, "withdrawn").await;
    let before = world.stored().await;
    let refused = upload(&world, "ll_patient_peter", &observation(PETER, CAREX, &blood_pressure(118, AT), "")).await;
    refused.refusal(403, "withdrawn");
    assert_eq!(world.stored().await, before);
    // What is granted is taken as ever, and so is what is granted to another study.
    let rate = upload(&world, "ll_patient_peter", &observation(PETER, CAREX, &heart_rate(60, AT), "")).await;
    assert_eq!(rate.status, StatusCode::CREATED, "{}", rate.text);
    world.record_consent(PETER, 30002, BLOOD_PRESSURE, "granted").await;
    let elsewhere = upload(&world, "ll_patient_peter", &observation(PETER, CAREX, &blood_pressure(118, AT), "")).await;
    assert_eq!(elsewhere.status, StatusCode::CREATED, "{}", elsewhere.text);
}

#[tokio::test]
async fn where_what_is_withdrawn_is_refused_a_grant_ends_with_its_enrolment_and_its_request() {
    let world = World::with(&[("UPLOAD_WHEN_REVOKED", "reject")]).await;
    let rate = observation(PETER, CAREX, &heart_rate(60, AT), "");
    let send = async || upload(&world, "ll_patient_peter", &rate).await.status.as_u16();
    let manage = async |method: &Method, path: &str, body: &Value| {
        let (status, answer) = world.send("manager_mary", method.clone(), path, body).await;
        assert!(status.is_success(), "{method} {path}: {answer}");
    };
    for (path, body) in [
        ("/api/v1/studies/30001/patients", json!({ "patientIds": [PETER] })),
        ("/api/v1/studies/30001/scope_requests", json!({ "scopeCodeId": 50004 })),
    ] {
        assert_eq!(send().await, 201, "{path}: granted");
        manage(&Method::DELETE, path, &body).await;
        assert_eq!(send().await, 403, "{path}: ended");
        manage(&Method::POST, path, &body).await;
        assert_eq!(send().await, 403, "{path}: made again, and not decided anew");
        world.decide("ll_patient_peter", PETER, 30001, "omh:heart-rate:2.0", true).await;
    }
    // The end of a study ends no consent.
    world.sql("UPDATE study SET status = 'completed', access_until = now() + interval '1 day' WHERE id = 30001").await;
    assert_eq!(send().await, 201);
}
