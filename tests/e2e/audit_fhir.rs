//! The audit as FHIR `AuditEvent`: patients their own, managers their organizations', super admins all.

use end_to_end::{World, ids, link};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const BASE: &str = "/FHIR/R5/AuditEvent";

async fn events(world: &World, user: &str, query: &str) -> Vec<Value> {
    let (status, bundle) = world.get(user, &format!("{BASE}{query}")).await;
    assert_eq!(status, StatusCode::OK, "{user} {query}: {bundle}");
    bundle["entry"].as_array().expect("entries").iter().map(|entry| entry["resource"].clone()).collect()
}

#[tokio::test]
async fn a_patient_reads_the_own_events_as_resources_and_no_others() {
    let world = World::new().await;
    world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    world.get("viewer_victor", "/FHIR/R5/Observation?patient=40002").await;
    for query in ["", "?patient=40001", "?patient=40001,40002"] {
        let found = events(&world, "ll_patient_peter", query).await;
        assert!(
            !found.is_empty() && found.iter().all(|event| event["patient"]["reference"] == "Patient/40001"),
            "{query}"
        );
    }
    // Others' events are not theirs in disguise, and that they were asked for is on record.
    let end = world.audit_end().await;
    assert!(events(&world, "ll_patient_peter", "?patient=40002").await.is_empty());
    let [record] = &world.audit_after(end).await[..] else { panic!("one record") };
    let (outcome, by) = (record.outcome.as_str(), record.refused_by.as_deref());
    assert_eq!((outcome, by, &record.patients[..]), ("denied", Some("user_type"), &[40002][..]));
    let strict = world
        .request("ll_patient_peter", Method::GET, &format!("{BASE}?patient=40002"))
        .header("prefer", "handling=strict");
    assert_eq!(end_to_end::answer(strict).await.0, StatusCode::FORBIDDEN);
    let event = events(&world, "ll_patient_peter", "?action=E&agent=Practitioner/80004").await.remove(0);
    assert_eq!(event["agent"][0]["who"]["reference"], "Practitioner/80004");
    assert_eq!(event["agent"][0]["who"]["display"], "ViewerVictor Rosales");
    let whats: Vec<&Value> =
        event["entity"].as_array().expect("entities").iter().map(|entity| &entity["what"]["reference"]).collect();
    for expected in ["Patient/40001", "Observation/60001", "Observation/60002", "Group/30001", "Organization/20003"] {
        assert!(whats.contains(&&json!(expected)), "{expected}: {event}");
    }
    let (status, read) =
        world.get("ll_patient_peter", &format!("{BASE}/{}", event["id"].as_str().expect("an id"))).await;
    assert_eq!((status, &read), (StatusCode::OK, &event), "as it was found");
    let other = events(&world, "ll_patient_pamela", "").await.remove(0);
    for user in ["ll_patient_peter", "viewer_victor", "manager_mark"] {
        let (status, _) = world.get(user, &format!("{BASE}/{}", other["id"].as_str().expect("an id"))).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{user}");
    }
}

#[tokio::test]
async fn a_manager_names_a_patient_and_sees_the_events_of_the_organization() {
    let world = World::new().await;
    world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    world.get("manager_mark", "/FHIR/R5/Observation?patient=40001").await;
    let found = events(&world, "manager_mary", "?patient=40001").await;
    assert!(!found.is_empty());
    for event in &found {
        let organizations = event["entity"].as_array().expect("entities").iter().filter(|entity| {
            entity["what"]["reference"].as_str().is_some_and(|what| what.starts_with("Organization/"))
        });
        assert!(organizations.into_iter().all(|entity| entity["what"]["reference"] == "Organization/20003"), "{event}");
    }
    let is_stranger = |event: &&Value| event["agent"][0]["who"]["display"] == "ManagerMark Knox";
    assert_eq!(found.iter().filter(is_stranger).count(), 1, "what a stranger tried");
    assert_eq!(world.get("manager_mary", BASE).await.0, StatusCode::BAD_REQUEST, "no dumps");
    assert!(events(&world, "manager_mark", "?patient=40001").await.is_empty(), "not a patient of theirs");
    for user in ["viewer_victor", "member_megan"] {
        let end = world.audit_end().await;
        assert_eq!(world.get(user, &format!("{BASE}?patient=40001")).await.0, StatusCode::FORBIDDEN, "{user}");
        let refusal = world.audit_after(end).await.pop().expect("a record");
        assert_eq!((refusal.refused_by.as_deref(), refusal.patients.as_slice()), (Some("role"), [40001].as_slice()));
    }
}

#[tokio::test]
async fn a_super_admin_searches_all_and_that_is_in_the_patients_log() {
    let world = World::new().await;
    world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    world.send("viewer_victor", Method::DELETE, "/api/v1/studies/30001", &Value::Null).await;
    assert!(events(&world, "admin", "?outcome=4").await.iter().all(|event| event["outcome"]["code"]["code"] == "4"));
    let end = world.audit_end().await;
    assert!(!events(&world, "admin", "?patient=40001&date=ge2020-01-01&_count=5").await.is_empty());
    let reading = world.audit_after(end).await.pop().expect("a record");
    assert!(reading.privileged && reading.patients == [40001], "{reading:?}");
    let own = events(&world, "ll_patient_peter", "").await.remove(0);
    assert_eq!(own["agent"][0]["role"][0]["coding"][0]["code"], "super_admin");
    assert!(events(&world, "admin", "?date=lt2020-01-01").await.is_empty());
    let (_, counted) = world.get("admin", &format!("{BASE}?patient=40001&_summary=count")).await;
    assert!(counted["total"].as_i64() > Some(0) && counted["entry"].is_null(), "{counted}");
    for bad in ["agent=80004", "action=X", "outcome=9", "patient=x", "date=x", "patient=1&patient=2"] {
        assert_eq!(world.get("admin", &format!("{BASE}?{bad}")).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn what_is_not_supported_is_refused_of_the_strict_and_not_said_to_be_understood_to_the_lenient() {
    let world = World::new().await;
    world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    for (query, strict) in [
        ("entity=Patient/40002", StatusCode::BAD_REQUEST),
        ("_sort=date", StatusCode::BAD_REQUEST),
        ("_sort=-date", StatusCode::OK),
    ] {
        let path = format!("{BASE}?action=E&{query}");
        let (status, bundle) = world.get("ll_patient_peter", &path).await;
        let understood = link(&world, &bundle, "self").expect("a link to itself");
        assert!(status == StatusCode::OK && !ids(&bundle).is_empty(), "{query}: {bundle}");
        let named = (understood.contains("action=E"), understood.contains(query));
        assert_eq!(named, (true, strict == StatusCode::OK), "{understood}");
        let request = world.request("ll_patient_peter", Method::GET, &path).header("prefer", "handling=strict");
        assert_eq!(end_to_end::answer(request).await.0, strict, "{query}");
    }
}

#[tokio::test]
async fn pages_of_resources_follow_each_other_in_both_spellings_and_by_post() {
    let world = World::new().await;
    for _ in 0..5 {
        world.get("viewer_victor", "/FHIR/R5/Observation/60001").await;
    }
    let (_, first) = world.get("ll_patient_peter", "/fhir/r5/AuditEvent?_count=2").await;
    assert_eq!(ids(&first).len(), 2);
    let next = link(&world, &first, "next").expect("a next page");
    let (status, second) = world.get("ll_patient_peter", next).await;
    assert_eq!(status, StatusCode::OK);
    assert!(ids(&second).iter().all(|id| !ids(&first).contains(id)));
    let form = world.request("ll_patient_peter", Method::POST, &format!("{BASE}/_search")).form(&[("_count", "1")]);
    let (status, bundle) = end_to_end::answer(form).await;
    assert_eq!((status, ids(&bundle).len()), (StatusCode::OK, 1));
}

#[tokio::test]
async fn a_token_reaches_the_audit_only_with_a_scope_for_it() {
    let world = World::new().await;
    world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await;
    for (scope, status) in
        [("openid patient/AuditEvent.rs", StatusCode::OK), ("openid patient/Observation.rs", StatusCode::FORBIDDEN)]
    {
        let token = world.token_of("ll_patient_peter", 1, scope).await;
        let request = world.anonymous(Method::GET, BASE).bearer_auth(token);
        assert_eq!(end_to_end::answer(request).await.0, status, "{scope}");
    }
}
