//! `Idempotency-Key` when rights have changed: a kept answer shows nothing that its caller may not see today.

use crate::idempotency::{KEY, PATIENTS, keyed, nora, post};
use end_to_end::{
    World,
    application::{application, member},
    point::{blood_pressure, observation},
    reply::Reply,
};
use reqwest::Method;
use serde_json::json;

const UPLOAD: &str = "/FHIR/R5/Observation";

/// Sends what was carried out before again, and sees that it was done and nothing of what it is.
async fn is_bare(world: &World, user: &str, path: &str, body: &serde_json::Value, first: &Reply) {
    let again = post(world, user, path, KEY, body).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (first.status, "true"), "{}", again.text);
    assert_eq!((again.text.as_str(), again.header("content-type")), ("", ""), "{path}");
    for name in ["location", "etag", "last-modified"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
}

#[tokio::test]
async fn a_search_is_judged_anew_whatever_its_key_says() {
    let world = World::new().await;
    for (path, form) in [
        ("/FHIR/R5/Observation/_search", ("patient", "40001")),
        ("/FHIR/R5/Patient/_search", ("_id", "40001")),
        ("/FHIR/R5/QuestionnaireResponse/_search", ("patient", "40001")),
    ] {
        let search = || {
            let request = world.request("viewer_victor", Method::POST, path).header("idempotency-key", "not a key");
            Reply::to(request.form(&[form]))
        };
        world.sql("INSERT INTO organization_member VALUES (20003, 80004, 'viewer') ON CONFLICT DO NOTHING").await;
        let first = search().await;
        assert_eq!(first.status.as_u16(), 200, "{path}: {}", first.text);
        world.sql("DELETE FROM organization_member WHERE practitioner_id = 80004").await;
        let again = search().await;
        assert_eq!(again.header("idempotency-replayed"), "", "{path}");
        assert!(!again.text.contains("\"resource\""), "{path}: {}", again.text);
    }
    assert_eq!(world.count("SELECT count(*) FROM idempotency_key").await, 0);
}

#[tokio::test]
async fn what_a_member_uploaded_is_not_shown_again_after_the_patient_revoked() {
    let world = World::new().await;
    let body = observation(40001, 70001, &blood_pressure(120, "2026-02-01T07:00:00Z"), "kept");
    let first = post(&world, "member_megan", UPLOAD, KEY, &body).await;
    assert_eq!(first.status.as_u16(), 201, "{}", first.text);
    assert_eq!(post(&world, "member_megan", UPLOAD, KEY, &body).await.text, first.text, "nothing has changed");
    world
        .sql(
            "INSERT INTO consent_event (patient_id, study_id, scope_id, decision, decided_by, request_id)
               VALUES (40001, 30001, 50002, 'withdrawn', 10006, 'test') RETURNING 1",
        )
        .await;
    is_bare(&world, "member_megan", UPLOAD, &body, &first).await;
}

#[tokio::test]
async fn whose_role_or_patient_is_gone_is_not_shown_the_patient_again() {
    for ending in [
        "DELETE FROM organization_member WHERE practitioner_id = 80003 RETURNING 1",
        "UPDATE organization_member SET role = 'viewer' WHERE practitioner_id = 80003 AND organization_id = 20003 RETURNING 1",
        "DELETE FROM patient_organization WHERE patient_id = (SELECT max(id) FROM patient) RETURNING 1",
    ] {
        let world = World::new().await;
        let first = post(&world, "member_megan", PATIENTS, KEY, &nora()).await;
        assert_eq!(first.status.as_u16(), 201, "{}", first.text);
        assert!(!world.sql(ending).await.is_empty(), "{ending}");
        is_bare(&world, "member_megan", PATIENTS, &nora(), &first).await;
    }
}

#[tokio::test]
async fn who_is_no_super_admin_any_more_is_not_told_a_secret_again() {
    let world = World::new().await;
    let body = application("client_secret_basic", &json!({}));
    let first = post(&world, "admin", "/api/v1/clients", KEY, &body).await;
    assert_eq!(first.status.as_u16(), 201, "{}", first.text);
    assert!(!member(&first.json(), "clientSecret").is_empty());
    world
        .as_owner()
        .await
        .execute("UPDATE app_user SET is_superuser = false WHERE id = 10001", &[])
        .await
        .expect("demoted");
    is_bare(&world, "admin", "/api/v1/clients", &body, &first).await;
}

#[tokio::test]
async fn a_refusal_is_not_repeated_to_whom_it_may_not_concern_any_more() {
    let world = World::new().await;
    let first = post(&world, "viewer_victor", PATIENTS, KEY, &nora()).await;
    assert_eq!(first.status.as_u16(), 403, "{}", first.text);
    world.sql("UPDATE organization_member SET role = 'member' WHERE practitioner_id = 80004 RETURNING 1").await;
    let again = post(&world, "viewer_victor", PATIENTS, KEY, &nora()).await;
    assert_eq!(again.status.as_u16(), 409, "{}", again.text);
    let new = Reply::to(keyed(&world, "viewer_victor", PATIENTS, "another", &nora())).await;
    assert_eq!(new.status.as_u16(), 201, "{}", new.text);
}
