//! `GET /api/v1/patient-access/brands`: the facilities that the operator keeps.

use end_to_end::World;
use reqwest::StatusCode;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/patient-access/brands";

fn names(found: &Value) -> Vec<&str> {
    let results = found["results"].as_array().expect("results");
    results.iter().map(|brand| brand["facilityName"].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn there_are_none_until_the_operator_keeps_some() {
    let world = World::new().await;
    for user in ["ll_patient_peter", "viewer_victor", "admin"] {
        assert_eq!(world.get(user, PATH).await, (StatusCode::OK, json!({ "results": [] })), "{user}");
    }
}

#[tokio::test]
async fn they_are_found_by_name_brand_and_place() {
    let world = World::new().await;
    let brands = json!([
        { "facilityName": "West Clinic", "city": "San José", "state": "CA", "postalCode": "95128",
          "brandName": "Halo", "addressText": "1 Main St", "fhirBaseUrl": "https://west.example/R4" },
        { "facilityName": "east clinic", "fhirBaseUrl": "https://east.example/R4" },
    ]);
    let setting = json!({ "key": "patient_access.brands", "valueType": "json", "value": brands });
    let (status, made) = world.post("admin", "/api/v1/jhe_settings", &setting).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    for (query, found) in [
        ("", vec!["east clinic", "West Clinic"]),
        ("?q=", vec!["east clinic", "West Clinic"]),
        ("?q=CLINIC", vec!["east clinic", "West Clinic"]),
        ("?q=halo", vec!["West Clinic"]),
        ("?q=jos%C3%A9", vec!["West Clinic"]),
        ("?q=95128", vec!["West Clinic"]),
        ("?q=%25", vec![]),
        ("?q=%00", vec![]),
        ("?q=main", vec![]),
    ] {
        let (status, answer) = world.get("ll_patient_peter", &format!("{PATH}{query}")).await;
        assert_eq!((status, names(&answer)), (StatusCode::OK, found), "{query}");
    }
    let (_, one) = world.get("ll_patient_peter", &format!("{PATH}?q=east")).await;
    let expected = json!({ "facilityName": "east clinic", "addressText": "", "city": "", "state": "", "postalCode": "",
        "brandName": "", "fhirBaseUrl": "https://east.example/R4" });
    assert_eq!(one["results"][0], expected);
}

#[tokio::test]
async fn a_catalogue_that_apps_could_not_use_is_refused() {
    let world = World::new().await;
    for (kind, value) in [
        ("json", json!({})),
        ("json", json!([{ "facilityName": "A" }])),
        ("json", json!([{ "facilityName": "A", "fhirBaseUrl": "http://a.example" }])),
        ("string", json!("[]")),
    ] {
        let setting = json!({ "key": "patient_access.brands", "valueType": kind, "value": value });
        let (status, answer) = world.post("admin", "/api/v1/jhe_settings", &setting).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    }
    // What is no catalogue, written past the rules, is none.
    world.sql("INSERT INTO setting (key, value_type, value) VALUES ('patient_access.brands', 'json', '5')").await;
    assert_eq!(world.get("ll_patient_peter", PATH).await, (StatusCode::OK, json!({ "results": [] })));
}
