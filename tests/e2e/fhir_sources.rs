//! FHIR Sources: patients have their own, and nobody else sees or changes them.

use end_to_end::{World, row_ids};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/fhir_sources";

fn new() -> Value {
    json!({ "label": "Halo", "dataSource": 70001, "fhirBaseUrl": "https://e.x" })
}

#[tokio::test]
async fn a_patient_registers_sources_and_sees_changes_and_deletes_only_those() {
    let world = World::new().await;
    let (status, made) = world.post("ll_patient_peter", PATH, &new()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(
        (&made["id"], &made["patient"], &made["dataSource"], &made["label"], &made["fhirBaseUrl"]),
        (&json!(90001), &json!(40001), &json!(70001), &json!("Halo"), &json!("https://e.x"))
    );
    let one = format!("{PATH}/90001");
    assert_eq!(world.get("ll_patient_peter", &one).await, (StatusCode::OK, made));
    for user in ["ll_patient_pamela", "member_megan", "admin"] {
        assert!(row_ids(&world.get(user, PATH).await.1).is_empty(), "{user}");
        assert_eq!(world.get(user, &one).await.0, StatusCode::NOT_FOUND, "{user}");
    }
    for (user, status) in [
        ("ll_patient_pamela", StatusCode::NOT_FOUND),
        ("member_megan", StatusCode::FORBIDDEN),
        ("admin", StatusCode::FORBIDDEN),
    ] {
        for method in [Method::PATCH, Method::DELETE] {
            assert_eq!(world.send(user, method, &one, &json!({ "label": "x" })).await.0, status, "{user}");
        }
    }
    let (status, changed) = world.send("ll_patient_peter", Method::PATCH, &one, &json!({ "label": "Halo 2" })).await;
    assert_eq!((status, &changed["label"], &changed["dataSource"]), (StatusCode::OK, &json!("Halo 2"), &json!(70001)));
    let stale = world
        .request("ll_patient_peter", Method::PATCH, &one)
        .header(header::IF_MATCH, "\"1\"")
        .json(&json!({ "label": "Halo 3" }));
    assert_eq!(end_to_end::answer(stale).await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(world.send("ll_patient_peter", Method::DELETE, &one, &Value::Null).await.0, StatusCode::NO_CONTENT);
    assert!(row_ids(&world.get("ll_patient_peter", PATH).await.1).is_empty());
    let recorded = "SELECT count(*) FROM audit_event e JOIN audit_change c ON c.event_id = e.id WHERE e.resource_type = 'FhirSource'";
    assert_eq!(world.count(recorded).await, 3, "made, changed and deleted, each with what changed");
}

#[tokio::test]
async fn only_patients_register_sources() {
    let world = World::new().await;
    for user in ["viewer_victor", "manager_mary", "admin"] {
        let (status, answer) = world.post(user, PATH, &new()).await;
        let told = json!({ "detail": "Only patient users can register a FhirSource." });
        assert_eq!((status, answer), (StatusCode::FORBIDDEN, told), "{user}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_by_field() {
    let world = World::new().await;
    for (field, value) in [
        ("label", json!("")),
        ("label", Value::Null),
        ("dataSource", json!("x")),
        ("dataSource", json!(7)),
        ("fhirBaseUrl", json!("http://e.x")),
        ("fhirBaseUrl", json!("https://user:pw@e.x/R4")),
        ("fhirBaseUrl", json!("https://user@e.x")),
        ("fhirBaseUrl", json!("javascript:alert(1)")),
        ("patient", json!(40002)),
    ] {
        let mut body = new();
        body[field] = value.clone();
        let (status, answer) = world.post("ll_patient_peter", PATH, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{field} {value}: {answer}");
        assert!(answer[field].is_array(), "{field} {value}: {answer}");
    }
}

#[tokio::test]
async fn a_source_from_which_resources_come_is_not_deleted() {
    let world = World::new().await;
    let (_, made) = world.post("ll_patient_peter", PATH, &new()).await;
    let sent = world
        .request("ll_patient_peter", Method::POST, "/FHIR/R5/QuestionnaireResponse")
        .header("X-JHE-FHIR-Source-ID", made["id"].to_string())
        .json(&json!({ "resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "q" }));
    assert_eq!(end_to_end::answer(sent).await.0, StatusCode::CREATED);
    let one = format!("{PATH}/{}", made["id"]);
    assert_eq!(world.send("ll_patient_peter", Method::DELETE, &one, &Value::Null).await.0, StatusCode::CONFLICT);
}
