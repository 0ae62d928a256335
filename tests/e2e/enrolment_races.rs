//! What is deleted while somebody names it: told as what it is, and never an error of ours.

use end_to_end::{World, answer};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A study that is open, with nobody in it.
async fn study(world: &World) -> Value {
    let body = json!({ "name": "N", "description": "D", "organization": 20003, "status": "active" });
    let (status, study) = world.post("manager_mary", "/api/v1/studies", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{study}");
    study["id"].clone()
}

/// Sends a request while `deletion` waits to be committed, and commits when the request waits for it.
async fn meanwhile(world: &World, deletion: &str, path: &str, body: &Value) -> (StatusCode, Value) {
    let owner = world.as_owner().await;
    owner.batch_execute(&format!("BEGIN; {deletion}")).await.expect("deleted, and not committed");
    let request = tokio::spawn(answer(world.request("manager_mary", Method::POST, path).json(body)));
    assert!(world.waits(&request).await, "the request did not wait for the deletion");
    owner.batch_execute("COMMIT").await.expect("committed");
    request.await.expect("an answer")
}

#[tokio::test]
async fn a_study_that_is_deleted_meanwhile_enrols_nobody() {
    let world = World::new().await;
    let study = study(&world).await;
    let path = format!("/api/v1/studies/{study}/patients");
    let deletion = format!("DELETE FROM study WHERE id = {study}");
    let (status, told) = meanwhile(&world, &deletion, &path, &json!({ "patientIds": [40001] })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{told}");
    assert!(told["patientIds"].is_array(), "{told}");
    let refused = "SELECT count(*) FROM audit_event WHERE outcome = 'denied' AND resource_type = 'Enrolment'";
    assert_eq!(world.count(refused).await, 1);
}

#[tokio::test]
async fn a_patient_who_leaves_the_organization_meanwhile_is_not_enrolled() {
    let world = World::new().await;
    let study = study(&world).await;
    let path = format!("/api/v1/studies/{study}/patients");
    let deletion = "DELETE FROM patient_organization WHERE patient_id = 40001 AND organization_id = 20003";
    let (status, told) = meanwhile(&world, deletion, &path, &json!({ "patientIds": [40001] })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{told}");
    assert_eq!(world.count(&format!("SELECT count(*) FROM study_patient WHERE study_id = {study}")).await, 0);
}

#[tokio::test]
async fn a_study_that_is_deleted_meanwhile_asks_for_nothing() {
    let world = World::new().await;
    let study = study(&world).await;
    let path = format!("/api/v1/studies/{study}/scope_requests");
    let deletion = format!("DELETE FROM study WHERE id = {study}");
    let (status, told) = meanwhile(&world, &deletion, &path, &json!({ "scopeCodeId": 50001 })).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{told}");
}
