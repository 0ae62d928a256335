//! The record of what a role allowed or refused has the role and the organizations that counted.

use end_to_end::{
    World, answer,
    ledger::AuditEvent,
    point::{blood_glucose, heart_rate, observation},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const AT: &str = "2026-02-01T08:00:00Z";

/// A user, a method, a path and a body; the outcome, the role and the organizations of the record.
type Case<'a> = (&'a str, Method, &'a str, Value, &'a str, Option<&'a str>, &'a [i32]);

/// The first record of a request.
async fn recorded(world: &World, user: &str, method: Method, path: &str, body: &Value) -> AuditEvent {
    let end = world.audit_end().await;
    let mut request = world.request(user, method, path);
    if !body.is_null() {
        request = request.json(body);
    }
    let (_, answer) = answer(request).await;
    world.audit_after(end).await.into_iter().next().unwrap_or_else(|| panic!("{user} {path}: no record: {answer}"))
}

async fn check(world: &World, cases: &[Case<'_>]) {
    for (user, method, path, body, outcome, role, organizations) in cases {
        let what = format!("{user} {method} {path} {body}");
        let event = recorded(world, user, method.clone(), path, body).await;
        assert_eq!(event.outcome, *outcome, "{what}: {event:?}");
        assert_eq!(event.role.as_deref(), *role, "{what}");
        assert_eq!(event.organizations, *organizations, "{what}");
    }
}

/// Makes Peter a patient of another organization, in which Megan is nobody.
async fn also_of_20008(world: &World) {
    world.sql("INSERT INTO patient_organization (patient_id, organization_id) VALUES (40001, 20008)").await;
}

#[tokio::test]
async fn an_upload_is_recorded_with_the_organizations_by_which_it_was_allowed() {
    let world = World::new().await;
    let path = "/FHIR/R5/Observation";
    let rate = |patient| observation(patient, 70001, &heart_rate(60, AT), "");
    // Tom manages 20008, and only views 20003.
    also_of_20008(&world).await;
    let never = observation(40001, 70001, &blood_glucose(95, AT), "");
    check(
        &world,
        &[
            ("ll_patient_peter", Method::POST, path, rate(40001), "allowed", None, &[20003, 20008]),
            ("member_megan", Method::POST, path, rate(40001), "allowed", Some("member"), &[20003]),
            ("three_org_tom", Method::POST, path, rate(40001), "allowed", Some("manager"), &[20008]),
            ("viewer_victor", Method::POST, path, rate(40001), "denied", Some("viewer"), &[20003]),
            ("member_megan", Method::POST, path, never, "denied", Some("member"), &[20003]),
            ("manager_mark", Method::POST, path, rate(40001), "denied", None, &[20003, 20008]),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_a_role_allows_or_refuses_is_recorded_with_the_role() {
    let world = World::new().await;
    let invite = json!({ "patientId": 40001, "client_id": 1 });
    let enrol = json!({ "patientIds": [40001] });
    let consents = "/api/v1/patients/40001/consents";
    let lookup = "/api/v1/patients/global_lookup?email=LL_patient_Peter%40example.com";
    let own: &[i32] = &[20003];
    check(
        &world,
        &[
            ("member_megan", Method::POST, "/api/v1/invitation", invite.clone(), "allowed", Some("member"), own),
            ("admin", Method::POST, "/api/v1/invitation", invite.clone(), "allowed", None, own),
            ("viewer_victor", Method::POST, "/api/v1/invitation", invite.clone(), "denied", Some("viewer"), own),
            ("manager_mark", Method::POST, "/api/v1/invitation", invite, "denied", None, own),
            ("viewer_victor", Method::PATCH, consents, json!({}), "denied", Some("viewer"), own),
            ("admin", Method::PATCH, consents, json!({}), "denied", None, own),
            ("ll_patient_pamela", Method::PATCH, consents, json!({}), "denied", None, own),
            ("viewer_victor", Method::POST, "/api/v1/studies/30001/patients", enrol, "denied", Some("viewer"), own),
            (
                "viewer_victor",
                Method::POST,
                "/api/v1/patients",
                json!({ "organizationId": 20003 }),
                "denied",
                Some("viewer"),
                own,
            ),
            ("member_megan", Method::GET, lookup, Value::Null, "allowed", Some("member"), own),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_redeemed_invitation_is_recorded_with_the_organizations_of_who_issued_it() {
    let world = World::new().await;
    also_of_20008(&world).await;
    let invite = json!({ "patientId": 40001, "client_id": 1, "sendEmail": true });
    assert_eq!(world.post("member_megan", "/api/v1/invitation", &invite).await.0, StatusCode::CREATED);
    let path = format!("/api/v1/invitation/{}", world.mails()[0].invitation_token());
    for (statement, status, outcome) in [
        ("SELECT 1", 200, "allowed"),
        ("UPDATE invitation SET status = 'cancelled' WHERE patient_id = 40001", 403, "denied"),
    ] {
        world.as_owner().await.batch_execute(statement).await.expect("an invitation");
        let end = world.audit_end().await;
        let (answered, answer) = answer(world.anonymous(Method::POST, &path)).await;
        assert_eq!(answered.as_u16(), status, "{answer}");
        let events = world.audit_after(end).await;
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((event.outcome.as_str(), event.organizations.as_slice()), (outcome, &[20003][..]));
    }
}

#[tokio::test]
async fn a_look_up_is_decided_before_its_value_is_judged() {
    let world = World::new().await;
    let path = "/api/v1/patients/global_lookup?email=%00";
    for (user, status, records) in
        [("ll_patient_pamela", 403, 1), ("member_megan", 400, 0), ("viewer_victor", 400, 0), ("admin", 400, 1)]
    {
        let end = world.audit_end().await;
        let (answered, answer) = world.get(user, path).await;
        assert_eq!(answered.as_u16(), status, "{user}: {answer}");
        if status == 400 {
            assert_eq!(answer, json!({ "email": ["Null characters are not allowed."] }), "{user}");
        }
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), records, "{user}: {events:?}");
        let reason = if user == "admin" { "invalid" } else { "user_type" };
        assert!(events.iter().all(|event| event.refused_by.as_deref() == Some(reason)), "{user}");
    }
    // No list takes such a value to the database.
    for path in [
        "/api/v1/patients?name=a%00",
        "/api/v1/studies/30001/patients?email=%00",
        "/api/v1/studies?name=%00",
        "/api/v1/patients?%00=a",
    ] {
        for user in ["member_megan", "admin"] {
            let (answered, answer) = world.get(user, path).await;
            assert_eq!(answered.as_u16(), 400, "{user} {path}: {answer}");
            assert!(answer.to_string().contains("Null characters are not allowed."), "{user} {path}: {answer}");
        }
    }
}
