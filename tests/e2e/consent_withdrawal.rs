//! A grant outlives an enrolment in the ledger; whoever gave it can see it and take it back, enrolled or not.

use end_to_end::{World, answer};
use reqwest::Method;
use serde_json::{Value, json};

const BP: &str = "omh:blood-pressure:4.0";
const HR: &str = "omh:heart-rate:2.0";
const SURVEY: &str = "QuestionnaireResponse";
const PETER: &str = "/api/v1/patients/40001/consents";
const ENROLMENTS: &str = "/api/v1/studies/30001/patients";

fn body(code: &str, consented: bool, reference: Option<&str>) -> Value {
    let system = if code == SURVEY { "http://hl7.org/fhir/resource-types" } else { "https://w3id.org/openmhealth" };
    let mut body = json!({ "studyScopeConsents": [{ "studyId": 30001, "scopeConsents": [
        { "codingSystem": system, "codingCode": code, "consented": consented }] }] });
    if let Some(reference) = reference {
        body["authorizationReference"] = json!(reference);
    }
    body
}

/// Changes whether Peter is enrolled in 30001, as a member of its organization does.
async fn enrol(world: &World, method: Method) {
    let request = world.request("member_megan", method, ENROLMENTS).json(&json!({ "patientIds": [40001] }));
    let (status, answer) = answer(request).await;
    assert!(status.is_success(), "{answer}");
}

/// The codes of 30001 in the list `studies` or `studiesPendingConsent` that `user` is shown of Peter.
async fn listed(world: &World, user: &str, list: &str, scopes: &str) -> Vec<String> {
    let (status, state) = world.get(user, PETER).await;
    assert_eq!(status.as_u16(), 200, "{state}");
    let studies = state[list].as_array().expect("studies").clone();
    let of_study = studies.iter().filter(|study| study["id"] == 30001);
    let scopes = of_study.flat_map(|study| study[scopes].as_array().expect("scopes").clone());
    scopes.map(|scope| scope["code"]["codingCode"].as_str().expect("a code").to_owned()).collect()
}

#[tokio::test]
async fn a_grant_is_taken_back_without_enrolment_and_does_not_come_back_with_it() {
    let world = World::new().await;
    enrol(&world, Method::DELETE).await;
    for user in ["ll_patient_peter", "viewer_victor", "admin"] {
        let scopes = world.get(user, PETER).await.1["consolidatedConsentedScopes"].clone();
        assert_eq!(scopes, json!([]), "{user}: nothing may be had without enrolment");
        assert_eq!(listed(&world, user, "studies", "scopeConsents").await.len(), 3, "{user}: the grants are seen");
    }
    for (user, method, code, reference, status, left) in [
        ("ll_patient_peter", Method::PATCH, HR, None, 200, &[BP, SURVEY][..]),
        ("ll_patient_peter", Method::DELETE, BP, None, 204, &[SURVEY]),
        ("member_megan", Method::POST, SURVEY, Some("Paper form 7"), 201, &[]),
    ] {
        let (answered, answer) =
            answer(world.request(user, method.clone(), PETER).json(&body(code, false, reference))).await;
        assert_eq!(answered.as_u16(), status, "{user} {method} {code}: {answer}");
        if status != 204 {
            let row = &answer["studyScopeConsents"][0];
            assert_eq!(row["studyPatient"], json!({ "id": null, "study": 30001, "patient": 40001 }));
            assert_eq!(row["consented"], false);
        }
        assert_eq!(listed(&world, "ll_patient_peter", "studies", "scopeConsents").await, left, "after {method} {code}");
        let pending = listed(&world, "ll_patient_peter", "studiesPendingConsent", "pendingScopeConsents").await;
        assert!(pending.is_empty(), "a study that the patient left asks for nothing");
    }
    enrol(&world, Method::POST).await;
    let scopes = world.get("ll_patient_peter", PETER).await.1["consolidatedConsentedScopes"].clone();
    assert_eq!(scopes, json!([]), "no grant is revived");
    let (_, found) = world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    assert!(end_to_end::ids(&found).is_empty(), "{found}");
}

#[tokio::test]
async fn a_grant_does_not_outlive_the_patients_leave_of_the_organization() {
    let world = World::new().await;
    let leave = "/api/v1/patients/40001?organizationId=20003";
    assert_eq!(answer(world.request("member_megan", Method::DELETE, leave)).await.0.as_u16(), 204);
    let ask = "/api/v1/patients/40001/global_add_organization?organizationId=20003";
    assert_eq!(answer(world.request("member_megan", Method::PATCH, ask)).await.0.as_u16(), 202);
    assert_eq!(answer(world.request("ll_patient_peter", Method::PATCH, ask)).await.0.as_u16(), 200);
    enrol(&world, Method::POST).await;
    let (status, found) = world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    assert_eq!((status.as_u16(), end_to_end::ids(&found).len()), (200, 0), "{found}");
    let (_, found) = world.get("viewer_victor", "/FHIR/R5/Observation?_has:Group:member:_id=30001&patient=40001").await;
    assert!(end_to_end::ids(&found).is_empty(), "{found}");
    assert_eq!(world.get("viewer_victor", "/FHIR/R5/Observation/60001").await.0.as_u16(), 404);
    // The patient is asked again, and sees that nothing is granted.
    let pending = listed(&world, "ll_patient_peter", "studiesPendingConsent", "pendingScopeConsents").await;
    assert_eq!(pending, [BP, HR, SURVEY]);
    let scopes = world.get("ll_patient_peter", PETER).await.1["consolidatedConsentedScopes"].clone();
    assert_eq!(scopes, json!([]));
    world.decide("ll_patient_peter", 40001, 30001, HR, true).await;
    let (_, found) = world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    assert_eq!(end_to_end::ids(&found).len(), 1, "{found}");
}

#[tokio::test]
async fn without_enrolment_nothing_is_granted_and_only_a_grant_is_taken_back() {
    let world = World::new().await;
    world.decide("ll_patient_peter", 40001, 30001, HR, false).await;
    enrol(&world, Method::DELETE).await;
    let before = world.count("SELECT count(*) FROM consent_event").await;
    for (user, method, code, consented, reference, status) in [
        ("ll_patient_peter", Method::PATCH, BP, true, None, 400),
        ("member_megan", Method::POST, BP, true, Some("Paper form 7"), 400),
        ("ll_patient_peter", Method::PATCH, HR, false, None, 400),
        ("ll_patient_peter", Method::DELETE, HR, false, None, 400),
        ("viewer_victor", Method::DELETE, BP, false, Some("Paper form 7"), 403),
        ("manager_mark", Method::DELETE, BP, false, Some("Paper form 7"), 404),
        ("ll_patient_pamela", Method::DELETE, BP, false, None, 404),
    ] {
        let request = world.request(user, method.clone(), PETER).json(&body(code, consented, reference));
        let (answered, answer) = answer(request).await;
        assert_eq!(answered.as_u16(), status, "{user} {method} {code}: {answer}");
    }
    assert_eq!(world.count("SELECT count(*) FROM consent_event").await, before);
}

#[tokio::test]
async fn a_grant_of_a_scope_that_the_study_no_longer_asks_for_is_taken_back_too() {
    let world = World::new().await;
    world.sql("DELETE FROM study_scope_request WHERE study_id = 30001 AND scope_id = 50004").await;
    let (status, refused) =
        answer(world.request("ll_patient_peter", Method::PATCH, PETER).json(&body(HR, true, None))).await;
    assert_eq!(status.as_u16(), 400, "{refused}");
    let (status, taken) =
        answer(world.request("ll_patient_peter", Method::DELETE, PETER).json(&body(HR, false, None))).await;
    assert_eq!(status.as_u16(), 204, "{taken}");
}
