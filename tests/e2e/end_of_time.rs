//! Dates at the end of time: bounds that mean "no end" are understood, and what cannot be stored is refused by its reason.

use end_to_end::{World, ids, point, reply::Reply};
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/FHIR/R5/Observation";

fn at(time: &str) -> Value {
    point::observation(40001, 70001, &point::heart_rate(60, time), "")
}

#[tokio::test]
async fn the_usual_open_ends_are_bounds() {
    let world = World::new().await;
    let (status, latest) = world.post("ll_patient_peter", PATH, &at("9999-12-29T23:59:59Z")).await;
    assert_eq!(status.as_u16(), 201, "{latest}");
    let id = latest["id"].as_str().expect("an id").to_owned();
    for (query, found) in [
        ("date=le9999-12-31", true),
        ("date=lt9999-12-31", true),
        ("date=le9999-12-30", true),
        ("date=le9999-12-31T23:59:59Z", true),
        ("date=ge9999&date=le9999-12-31T23:59:59.999Z", true),
        ("date=9999", true),
        ("date=9999-12", true),
        ("date=lt9999", false),
        ("date=9999-12-31", false),
        ("date=gt9999-12-31", false),
        ("date=ge9999-12-31", false),
        ("date=sa9999", false),
        ("_lastUpdated=le9999-12-31", true),
        ("_lastUpdated=ge9999-12-31", false),
    ] {
        for user in ["ll_patient_peter", "viewer_victor"] {
            let (status, bundle) = world.get(user, &format!("{PATH}?patient=40001&{query}")).await;
            assert_eq!(status.as_u16(), 200, "{user} {query}: {bundle}");
            assert_eq!(ids(&bundle).contains(&id), found, "{user} {query}: {bundle}");
        }
    }
    for query in ["birthdate=le9999-12-31", "birthdate=lt9999", "_lastUpdated=lt9999-12-31"] {
        let (status, bundle) = world.get("viewer_victor", &format!("/FHIR/R5/Patient?{query}")).await;
        assert_eq!((status.as_u16(), ids(&bundle).len()), (200, 2), "{query}: {bundle}");
    }
}

#[tokio::test]
async fn a_time_that_cannot_be_stored_is_refused_as_too_late() {
    let world = World::new().await;
    for time in ["9999-12-31T23:59:59Z", "9999-12-30T23:00:00Z", "9999-12-30T00:00:00Z"] {
        let reply = Reply::to(world.request("ll_patient_peter", Method::POST, PATH).json(&at(time))).await;
        let outcome = reply.refusal(422, time);
        assert!(outcome.to_string().contains("must be before 9999-12-30"), "{time}: {outcome}");
    }
    let mut stated = at("2026-03-01T08:00:00Z");
    stated["issued"] = json!("9999-12-31T23:59:59Z");
    let reply = Reply::to(world.request("ll_patient_peter", Method::POST, PATH).json(&stated)).await;
    let outcome = reply.refusal(400, "issued");
    assert!(outcome.to_string().contains("must be before 9999-12-30"), "{outcome}");
}
