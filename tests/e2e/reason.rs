//! `X-JHE-Reason`: why somebody asks, in the audit and for the patient to read; and `REASON_REQUIRED` of super admins.

use crate::{
    hostile::PUBLIC,
    rest_matrix::{declared, name, path},
    template::text,
};
use end_to_end::{World, application::application, reply::Reply};
use reqwest::{Method, StatusCode};
use runtime::Protocol;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const WHY: &str = "Ticket 12: a wrong upload";

async fn ask(world: &World, user: &str, path: &str, reason: Option<&str>) -> Reply {
    let mut request = world.request(user, Method::GET, path);
    if let Some(reason) = reason {
        request = request.header("x-jhe-reason", reason);
    }
    Reply::to(request).await
}

async fn reasons(world: &World, end: i64) -> Vec<Option<String>> {
    let rows = world.sql(&format!("SELECT coalesce(reason, reason_of(id, occurred_at)) AS reason FROM audit_event WHERE id > {end} ORDER BY id")).await;
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_reason_is_in_the_audit_of_what_was_asked_and_refused_and_the_patient_reads_it() {
    let world = World::new().await;
    for (user, path, status) in [
        ("admin", "/FHIR/R5/Observation?patient=40001", 200),
        ("viewer_victor", "/api/v1/patients/40001", 200),
        ("manager_mark", "/api/v1/patients/40001", 404),
    ] {
        let end = world.audit_end().await;
        let reply = ask(&world, user, path, Some(WHY)).await;
        assert_eq!(reply.status.as_u16(), status, "{user} {path}: {}", reply.text);
        let reasons = reasons(&world, end).await;
        assert!(!reasons.is_empty() && reasons.iter().all(|reason| reason.as_deref() == Some(WHY)), "{reasons:?}");
        let (_, log) = world.get("ll_patient_peter", "/api/v1/patients/me/access-log").await;
        assert_eq!(log["results"][0]["reason"], WHY, "{user} {path}");
    }
    // A reason of a request for several patients may name another one, or one of another organization.
    ask(&world, "admin", "/FHIR/R5/Observation?patient=40001,40004", Some(WHY)).await;
    let (_, log) = world.get("ll_patient_peter", "/api/v1/patients/me/access-log").await;
    assert_eq!((&log["results"][0]["privileged"], &log["results"][0]["reason"]), (&json!(true), &Value::Null), "{log}");
    for (path, reason) in [
        ("/api/v1/organizations/20003/audit-events?actor=10001", Value::Null),
        ("/api/v1/audit-events?actor=10001", json!(WHY)),
    ] {
        let user = if reason.is_null() { "manager_mary" } else { "admin" };
        let (_, log) = world.get(user, path).await;
        let row = log["results"].as_array().expect("rows").iter().find(|row| row["resourceType"] == "Observation");
        assert_eq!(row.expect("a row")["reason"], reason, "{path}");
    }
    ask(&world, "viewer_victor", "/api/v1/patients/40001", None).await;
    // What another patient wrote is not shown, as they are not named.
    ask(&world, "ll_patient_pamela", "/api/v1/patients/40001", Some("It is me, Pamela")).await;
    let (_, log) = world.get("ll_patient_peter", "/api/v1/patients/me/access-log").await;
    assert_eq!((&log["results"][0]["actor"], &log["results"][0]["reason"]), (&Value::Null, &Value::Null));
    let victor = log["results"].as_array().expect("rows").iter().find(|row| row["actor"]["id"] == 10004);
    assert_eq!(victor.expect("a row")["reason"], Value::Null);
}

/// No erasure would find a patient's name in them.
#[tokio::test]
async fn no_sealed_event_has_words_and_what_names_nobody_and_did_not_work_keeps_none() {
    let world = World::new().await;
    let end = world.audit_end().await;
    for (user, method, path, status) in [
        ("admin", Method::GET, "/FHIR/R5/Observation?patient=40001", 200),
        ("admin", Method::GET, "/api/v1/organizations", 200),
        ("ll_patient_pamela", Method::PATCH, "/api/v1/patients/me", 400),
        ("ll_patient_pamela", Method::POST, "/api/v1/patients/me/erasure", 400),
        ("ll_patient_pamela", Method::POST, "/FHIR/R5/Observation", 400),
        ("manager_mary", Method::POST, "/api/v1/organizations/20003/legal-holds", 400),
        ("manager_mary", Method::POST, "/api/v1/patients", 400),
        ("manager_mary", Method::GET, "/api/v1/patients/global_lookup?email=nobody%40example.com", 200),
    ] {
        let request = world.request(user, method, path).header("x-jhe-reason", "Pamela Hunt rang");
        let reply = Reply::to(request.json(&json!({ "patientId": "x" }))).await;
        assert_eq!(reply.status.as_u16(), status, "{path}: {}", reply.text);
    }
    assert_eq!(world.count("SELECT count(*) FROM audit_event WHERE reason IS NOT NULL").await, 0);
    let kept = reasons(&world, end).await;
    assert!(kept.len() > 7, "{kept:?}");
    let of_nobody = format!(
        "SELECT count(*) FROM audit_event WHERE id > {end} AND patient_ids = '{{}}' AND reason_of(id, occurred_at) IS NOT NULL
            AND (outcome = 'failed' OR outcome = 'allowed' AND resource_type = 'Patient')"
    );
    assert_eq!(world.count(&of_nobody).await, 0);
    assert!(kept.contains(&Some("Pamela Hunt rang".to_owned())));
}

/// Who tries all dates does not find out which ones a digest is of.
#[tokio::test]
async fn a_digest_is_of_something_that_nobody_guesses() {
    let world = World::new().await;
    for date in ["1980-01-02", "1985-05-05", "1980-01-02", "1985-05-05"] {
        let body = json!({ "birthDate": date });
        let (status, told) = world.send("ll_patient_peter", Method::PATCH, "/api/v1/patients/me", &body).await;
        assert_eq!(status, StatusCode::OK, "{told}");
    }
    let digests = "SELECT count(DISTINCT e.detail->>'digest') FROM audit_event e JOIN audit_change c ON c.event_id = e.id
                    WHERE c.after = '{\"birth_date\": \"1985-05-05\"}' AND c.before = '{\"birth_date\": \"1980-01-02\"}' AND octet_length(c.salt) = 16";
    assert_eq!(world.count(digests).await, 2, "the same change twice");
}

#[tokio::test]
async fn a_reason_that_cannot_be_kept_is_refused_before_anything_is_done() {
    let world = World::new().await;
    let end = world.audit_end().await;
    for (path, protocol) in [("/api/v1/patients/40001", Protocol::Rest), ("/FHIR/R5/Patient/40001", Protocol::Fhir)] {
        for reason in ["", "a\tb", &"x".repeat(201)] {
            let reply = ask(&world, "admin", path, Some(reason)).await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{reason:?}");
            reply.assert_well_formed(protocol, path);
        }
    }
    assert_eq!(reasons(&world, end).await, [], "nothing was shown");
}

#[tokio::test]
async fn where_it_is_required_a_super_admin_says_why() {
    let world = World::with(&[("REASON_REQUIRED", "true")]).await;
    for (path, protocol) in [
        ("/api/v1/patients", Protocol::Rest),
        ("/api/v1/patients/40001", Protocol::Rest),
        ("/api/v1/patients/40001/consents", Protocol::Rest),
        ("/FHIR/R5/Observation?patient=40001", Protocol::Fhir),
        ("/FHIR/R5/Practitioner", Protocol::Fhir),
    ] {
        let end = world.audit_end().await;
        let reply = ask(&world, "admin", path, None).await;
        reply.assert_well_formed(protocol, path);
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
        assert!(reply.text.contains("X-JHE-Reason"), "{}", reply.text);
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), 1, "{path}: {events:?}");
        let event = &events[0];
        assert_eq!(
            (event.outcome.as_str(), event.refused_by.as_deref(), event.privileged),
            ("denied", Some("invalid"), true)
        );
        assert_eq!(event.patients == [40001], path.contains("40001") && protocol == Protocol::Rest, "{path}");
        assert_eq!(ask(&world, "admin", path, Some(WHY)).await.status, StatusCode::OK, "{path}");
        assert_eq!(ask(&world, "viewer_victor", path, None).await.status, StatusCode::OK, "{path}: nobody else has to");
    }
    for path in ["/api/v1/users/profile", "/api/v1/organizations", "/FHIR/R5/metadata", "/o/userinfo/"] {
        assert_ne!(ask(&world, "admin", path, None).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn the_documentation_names_every_read_that_is_free() {
    let world = World::with(&[("REASON_REQUIRED", "true")]).await;
    let mut free = BTreeSet::new();
    for route in declared() {
        let is_public = PUBLIC.iter().any(|(public, _)| *public == name(&route));
        if route.method != "GET" || is_public || route.path.starts_with("/fhir/") {
            continue;
        }
        let reply = ask(&world, "admin", &path(&route), None).await;
        if !reply.text.contains("X-JHE-Reason") {
            free.insert(format!("- `GET {}`", route.path));
        }
    }
    let documented = text("docs/configuration.md");
    let documented: BTreeSet<String> =
        documented.lines().filter(|line| line.starts_with("- `GET ")).map(str::to_owned).collect();
    assert_eq!(documented, free);
}

#[tokio::test]
async fn a_change_without_its_reason_is_not_made_and_may_be_asked_again_with_the_same_key() {
    let world = World::with(&[("REASON_REQUIRED", "true")]).await;
    let clients = world.count("SELECT count(*) FROM oauth_client").await;
    let post = async |reason: Option<&str>| {
        let request = world.request("admin", Method::POST, "/api/v1/clients").header("idempotency-key", "one");
        let request = request.json(&application("client_secret_basic", &json!({})));
        Reply::to(match reason {
            Some(reason) => request.header("x-jhe-reason", reason),
            None => request,
        })
        .await
    };
    assert_eq!(post(None).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.count("SELECT count(*) FROM oauth_client").await, clients);
    assert_eq!(post(Some("a new app")).await.status, StatusCode::CREATED);
    assert_eq!(world.count("SELECT count(*) FROM oauth_client").await, clients + 1);
}
