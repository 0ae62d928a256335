//! What names a patient, wherever somebody can put it: an erasure leaves nothing of it.

use crate::erasures::PETER;
use end_to_end::{World, answer, point};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Words that only Peter has.
pub const WORDS: [&str; 9] = [
    "Unmistakable",
    "Formerly",
    "unmistakable@example.com",
    "555-0199",
    "unmistakable-mrn",
    "unmistakable-point",
    "unmistakable-form",
    "unmistakable-reason",
    "unmistakable-resource",
];

/// Resources of a FHIR Source: one as it is, one that was changed, and one that was deleted.
const RESOURCES: &str = "
INSERT INTO fhir_source (patient_id, data_source_id, label, fhir_base_url) VALUES (40001, 70005, 'unmistakable-resource', 'https://e.example');
INSERT INTO auxiliary (patient_id, scope_id, source_id, upstream_id, content)
SELECT 40001, 50011, s.id, 'unmistakable-resource-' || n, '{}' FROM fhir_source s, generate_series(1, 3) n WHERE s.patient_id = 40001;
UPDATE auxiliary SET version = 2 WHERE upstream_id = 'unmistakable-resource-2';
DELETE FROM auxiliary WHERE upstream_id = 'unmistakable-resource-3'";

/// Puts the words wherever somebody can put them.
pub async fn mark(world: &World) {
    let change = async |user: &str, body: Value| {
        let (status, answer) = world.send(user, Method::PATCH, "/api/v1/patients/40001", &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    };
    change("member_megan", json!({ "nameFamily": "Formerly" })).await;
    let identifiers = json!([{ "system": "https://mrn.example", "value": "unmistakable-mrn" }]);
    change(
        "member_megan",
        json!({ "nameFamily": "Unmistakable", "telecomPhone": "555-0199", "identifiers": identifiers }),
    )
    .await;
    for (user, method, path, body) in [
        ("member_megan", Method::PATCH, "/api/v1/patients/40001", Some(json!({ "nameGiven": "Peter-Paul" }))),
        ("ll_patient_peter", Method::GET, "/api/v1/patients/me", None),
    ] {
        let request = world.request(user, method, path).header("x-jhe-reason", "unmistakable-reason");
        let (status, answer) = answer(body.into_iter().fold(request, |request, body| request.json(&body))).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    world.sql("UPDATE app_user SET email = 'unmistakable@example.com' WHERE id = (SELECT user_id FROM patient WHERE id = 40001)").await;
    let body = point::heart_rate(61, "2026-02-02T08:00:00Z");
    let observation = point::observation(PETER, 70001, &body, "unmistakable-point");
    let (status, answer) = world.post("ll_patient_peter", "/FHIR/R5/Observation", &observation).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let decision = json!({ "authorizationReference": "unmistakable-form", "studyScopeConsents": [{ "studyId": 30001, "scopeConsents": [
        { "codingSystem": "https://w3id.org/openmhealth", "codingCode": "omh:heart-rate:2.0", "consented": true }] }] });
    let (status, answer) =
        world.send("member_megan", Method::PATCH, "/api/v1/patients/40001/consents", &decision).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    world.as_owner().await.batch_execute(RESOURCES).await.expect("resources");
    for word in WORDS {
        assert!(world.rows_with(word).await > 0, "{word} is nowhere");
    }
}
