//! Searches and uploads that once went wrong.

use end_to_end::{
    World, ids,
    point::{heart_rate, observation},
};
use reqwest::{Method, StatusCode};

#[tokio::test]
async fn a_patient_and_an_identifier_must_both_hold() {
    let world = World::new().await;
    let path = "/FHIR/R5/Observation?patient=40002&patient.identifier=E1234";
    let (status, bundle) = world.get("viewer_victor", path).await;
    assert_eq!(status, StatusCode::OK);
    assert!(ids(&bundle).is_empty(), "E1234 is Peter's, 40002 is Pamela: {bundle}");
    let (_, both) = world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001&patient.identifier=E1234").await;
    assert_eq!(ids(&both).len(), 2, "{both}");
    let (_, unknown) = world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001&patient.identifier=nobody").await;
    assert!(ids(&unknown).is_empty(), "{unknown}");
}

#[tokio::test]
async fn what_is_acknowledged_is_found_and_times_that_no_search_reaches_are_refused() {
    let world = World::new().await;
    for (at, expected) in [
        ("0001-01-01T00:00:00Z", StatusCode::CREATED),
        ("9999-12-29T23:59:59Z", StatusCode::CREATED),
        ("9999-12-30T00:00:00Z", StatusCode::UNPROCESSABLE_ENTITY),
        ("0001-01-01T00:00:00+14:00", StatusCode::UNPROCESSABLE_ENTITY),
        ("0000-01-01T00:00:00Z", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let resource = observation(40002, 70001, &heart_rate(60, at), "");
        let (status, body) = world.post("ll_patient_pamela", "/FHIR/R5/Observation", &resource).await;
        assert_eq!(status, expected, "{at}: {body}");
        if let Some(id) = body["id"].as_str() {
            let (_, found) = world.get("ll_patient_pamela", &format!("/FHIR/R5/Observation?_id={id}")).await;
            assert_eq!(ids(&found), [id], "{at}");
        }
    }
}

#[tokio::test]
async fn a_condition_that_cannot_be_kept_is_refused() {
    let world = World::new().await;
    let before = world.count("SELECT count(*) FROM observation").await;
    let response = world
        .request("ll_patient_pamela", Method::POST, "/FHIR/R5/Observation")
        .header("if-none-exist", "identifier=urn:sk|a1")
        .json(&observation(40002, 70001, &heart_rate(60, "2026-02-01T07:00:00Z"), ""))
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(world.count("SELECT count(*) FROM observation").await, before);
}

#[tokio::test]
async fn the_consent_is_asked_before_the_role() {
    let world = World::new().await;
    let glucose = end_to_end::point::blood_glucose(90, "2026-02-01T07:00:00Z");
    let (status, _) =
        world.post("viewer_victor", "/FHIR/R5/Observation", &observation(40001, 70002, &glucose, "")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let rows = world.sql("SELECT refused_by FROM audit_event ORDER BY id DESC LIMIT 1").await;
    assert_eq!(rows[0].get::<_, String>(0), "consent");
}
