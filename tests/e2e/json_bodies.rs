//! JSON bodies: an object that names a member twice is refused by every route.

use end_to_end::{
    World,
    point::{blood_pressure, observation},
    reply::Reply,
};
use reqwest::{Method, StatusCode, header};
use runtime::Protocol;
use serde_json::{Value, json};

const AT: &str = "2026-02-01T08:00:00Z";

async fn sent(world: &World, user: &str, path: &str, body: &str) -> Reply {
    let request = world.request(user, Method::POST, path).header(header::CONTENT_TYPE, "application/json");
    Reply::to(request.body(body.to_owned())).await
}

/// An observation of Peter as text, with a member of it written once more.
fn with(member: &str, again: &str) -> String {
    let text = observation(40001, 70001, &blood_pressure(121, AT), "twice").to_string();
    assert_eq!(text.matches(member).count(), 1, "{member} in {text}");
    text.replacen(member, &format!("{again},{member}"), 1)
}

fn batch(resource: &str) -> String {
    format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[{{"resource":{resource},"request":{{"method":"POST","url":"Observation"}}}}]}}"#
    )
}

#[tokio::test]
async fn fhir_refuses_a_member_that_comes_twice_at_any_depth() {
    let world = World::new().await;
    let before = world.stored().await;
    for text in [
        with(r#""status":"final""#, r#""status":"entered-in-error""#),
        with(r#""status":"final""#, r#""\u0073tatus":"final""#),
        with(r#""reference":"Patient/40001""#, r#""reference":"Patient/40002""#),
        with(r#""code":"omh:blood-pressure:4.0""#, r#""code":"omh:heart-rate:2.0""#),
    ] {
        for (path, body) in [("/FHIR/R5/Observation", text.clone()), ("/FHIR/R5", batch(&text))] {
            let outcome = sent(&world, "ll_patient_peter", path, &body).await.refusal(400, &body);
            let said = outcome["issue"][0]["diagnostics"].as_str().expect("a text");
            assert!(said.contains("twice") && said.contains("line 1"), "{said}");
            assert!(!said.contains("40002"), "{said}");
        }
    }
    assert_eq!(world.stored().await, before);
}

#[tokio::test]
async fn the_other_routes_refuse_it_too() {
    let world = World::new().await;
    let consents = r#"{"studyScopeConsents":[{"studyId":30002,"scopeConsents":[{"codingSystem":"https://w3id.org/openmhealth","codingCode":"omh:blood-pressure:4.0","consented":false,"consented":true}]}]}"#;
    for (user, path, body) in [
        ("member_megan", "/api/v1/invitation", r#"{"patientId":40001,"patientId":40003,"client_id":1}"#),
        ("manager_mary", "/api/v1/studies/30002/patients", r#"{"patientIds":[40001],"patientIds":[40002]}"#),
        (
            "manager_mary",
            "/api/v1/patients",
            r#"{"organizationId":20003,"nameFamily":"A","nameFamily":"B","nameGiven":"C","birthDate":"1990-01-01","telecomEmail":"twice@example.com"}"#,
        ),
        ("ll_patient_peter", "/api/v1/patients/40001/consents", consents),
    ] {
        let reply = sent(&world, user, path, body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}: {}", reply.text);
        reply.assert_well_formed(Protocol::Rest, path);
        let said = reply.json()["detail"].as_str().expect("a detail").to_owned();
        assert!(said.contains("twice"), "{path}: {said}");
    }
}

#[tokio::test]
async fn objects_beside_each_other_may_name_the_same() {
    let world = World::new().await;
    let mut resource = observation(40001, 70001, &blood_pressure(121, AT), "exact");
    let identifiers =
        json!([{ "system": "https://a.example", "value": "1.00" }, { "system": "https://b.example", "value": "1.00" }]);
    resource["identifier"] = identifiers.clone();
    let stored = sent(&world, "ll_patient_peter", "/FHIR/R5/Observation", &resource.to_string()).await;
    assert_eq!(stored.status, StatusCode::CREATED, "{}", stored.text);
    assert_eq!(stored.json()["identifier"], identifiers);
}

/// An attachment is the patient's document: it is kept as it is, and read as readers of JSON do, the last value counts.
#[tokio::test]
async fn an_attachment_is_not_a_body() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let world = World::new().await;
    let point = blood_pressure(121, AT).to_string();
    let twice = point.replacen('{', r#"{"note":1,"note":2,"#, 1);
    let mut resource = observation(40001, 70001, &blood_pressure(121, AT), "attached");
    resource["valueAttachment"]["data"] = Value::from(STANDARD.encode(&twice));
    let stored = sent(&world, "ll_patient_peter", "/FHIR/R5/Observation", &resource.to_string()).await;
    assert_eq!(stored.status, StatusCode::CREATED, "{}", stored.text);
    assert_eq!(stored.json()["valueAttachment"]["data"], resource["valueAttachment"]["data"]);
}
