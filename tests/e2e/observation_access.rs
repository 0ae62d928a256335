//! The access rule: a practitioner sees an observation only while its patient consents to that data type for a study of the
//! practitioner's organization.

use end_to_end::{World, ids};
use reqwest::StatusCode;

const BP: &str = "omh:blood-pressure:4.0";

#[tokio::test]
async fn revoking_hides_at_once_and_granting_shows_again() {
    let world = World::new().await;
    let by_patient = "/FHIR/R5/Observation?patient=40001";
    let by_study = "/FHIR/R5/Observation?patient._has:Group:member:_id=30001&_count=100";
    let (_, before) = world.get("viewer_victor", by_patient).await;
    let (_, study_before) = world.get("viewer_victor", by_study).await;
    assert_eq!(ids(&before).len(), 2, "{before}");
    assert_eq!(ids(&study_before).len(), 5, "Peter's 2 and Pamela's 3: {study_before}");
    let pressure = ids(&before).into_iter().find(|id| id == "60001").expect("the blood pressure");
    let read = format!("/FHIR/R5/Observation/{pressure}");
    assert_eq!(world.get("viewer_victor", &read).await.0, StatusCode::OK);

    world.decide("ll_patient_peter", 40001, 30001, BP, false).await;
    let (_, hidden) = world.get("viewer_victor", by_patient).await;
    assert_eq!(ids(&hidden), ["60002"]);
    assert_eq!(ids(&world.get("viewer_victor", by_study).await.1).len(), 4);
    assert_eq!(world.get("viewer_victor", &read).await.0, StatusCode::NOT_FOUND);
    let (_, own) = world.get("ll_patient_peter", "/FHIR/R5/Observation").await;
    assert_eq!(ids(&own).len(), 2, "the patient still sees all of it");

    world.decide("ll_patient_peter", 40001, 30001, BP, true).await;
    let (_, after) = world.get("viewer_victor", by_patient).await;
    assert_eq!(ids(&after), ids(&before));
    assert_eq!(ids(&world.get("viewer_victor", by_study).await.1), ids(&study_before));
    assert_eq!(world.get("viewer_victor", &read).await.0, StatusCode::OK);
}
