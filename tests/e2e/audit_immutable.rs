//! The past cannot be changed, and without its record nothing is returned or stored.

use end_to_end::{
    World,
    ledger::failure,
    point::{bundle, heart_rate, observation},
    reply::Reply,
};
use reqwest::Method;
use serde_json::Value;
use tokio_postgres::error::SqlState;

const PATH: &str = "/FHIR/R5/Observation";

#[tokio::test]
async fn the_functions_login_can_neither_change_the_past_nor_write_what_is_derived() {
    let world = World::new().await;
    let client = world.as_function().await;
    let statements = [
        "UPDATE audit_event SET outcome = 'allowed'",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
        "INSERT INTO audit_event (request_id, actor_type, action, resource_type, organization_ids, study_ids, patient_ids,
                                  observation_ids, outcome, privileged)
           VALUES ('r', 'system', 'read', 'Observation', '{}', '{}', '{}', '{}', 'allowed', false)",
        "UPDATE consent_event SET decision = 'granted'",
        "DELETE FROM consent_event",
        "TRUNCATE consent_event CASCADE",
        "SELECT setval('consent_event_id', 1)",
        "INSERT INTO consent_current SELECT * FROM consent_current",
        "UPDATE consent_current SET may_read = true, may_search = true",
        "DELETE FROM consent_current",
        "TRUNCATE consent_current",
        "INSERT INTO study_observation SELECT * FROM study_observation",
        "UPDATE study_observation SET study_id = 30002",
        "DELETE FROM study_observation",
        "TRUNCATE study_observation",
        "UPDATE observation SET patient_id = 40002",
        "DELETE FROM observation",
        "TRUNCATE observation",
        "UPDATE observation_identifier SET patient_id = 40002",
        "DELETE FROM observation_identifier",
        "UPDATE organization_member SET practitioner_id = 80006",
        "UPDATE organization_member SET organization_id = 20003",
        "UPDATE app_user SET is_superuser = true",
        "TRUNCATE organization_member",
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
        "DROP TABLE audit_event",
        "DROP TRIGGER audit_event_immutable ON audit_event",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TABLE public.mine (id int)",
        "SET session_replication_role = replica",
    ];
    for statement in statements {
        assert_eq!(failure(&client, statement).await, Some(SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
    }
}

#[tokio::test]
async fn even_the_owner_is_refused_by_trigger() {
    let world = World::new().await;
    let client = world.as_owner().await;
    for table in ["audit_event", "consent_event"] {
        for statement in [
            format!("UPDATE {table} SET request_id = 'another'"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table} CASCADE"),
        ] {
            assert_eq!(failure(&client, &statement).await, Some(SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
        }
    }
}

#[tokio::test]
async fn when_the_audit_cannot_be_written_nothing_is_returned_and_nothing_is_stored() {
    let world = World::new().await;
    let good = observation(40001, 70001, &heart_rate(60, "2026-02-01T08:00:00Z"), "unrecorded");
    let stranger = observation(40003, 70001, &heart_rate(60, "2026-02-01T08:00:00Z"), "");
    let requests: [(&str, Method, String, Option<Value>, u16); 9] = [
        ("viewer_victor", Method::GET, format!("{PATH}?patient=40001"), None, 200),
        ("viewer_victor", Method::GET, format!("{PATH}?patient=40001&_summary=count"), None, 200),
        ("ll_patient_peter", Method::GET, PATH.to_owned(), None, 200),
        ("admin", Method::GET, PATH.to_owned(), None, 200),
        ("viewer_victor", Method::GET, format!("{PATH}/60001"), None, 200),
        ("manager_mark", Method::GET, format!("{PATH}/60001"), None, 404),
        ("manager_mary", Method::POST, PATH.to_owned(), Some(stranger), 403),
        ("ll_patient_peter", Method::POST, PATH.to_owned(), Some(good.clone()), 201),
        (
            "ll_patient_peter",
            Method::POST,
            "/FHIR/R5".to_owned(),
            Some(bundle("batch", std::slice::from_ref(&good))),
            200,
        ),
    ];
    let before = world.stored().await;
    world
        .sql(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
              BEGIN RAISE EXCEPTION 'no room for SECRET' USING ERRCODE = 'disk_full'; END $$",
        )
        .await;
    world.sql("CREATE TRIGGER fail BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION fail()").await;
    for (user, method, path, body, _) in &requests {
        let mut request = world.request(user, method.clone(), path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = Reply::to(request).await;
        let status = reply.status.as_u16();
        assert!([500, 503].contains(&status), "{user} {method} {path}: {status}");
        reply.refusal(status, path);
        for secret in ["SECRET", "entry", "valueAttachment", "total", "fail"] {
            assert!(!reply.text.contains(secret), "{path}: {}", reply.text);
        }
        assert_eq!(world.stored().await, before, "{user} {method} {path}");
    }
    world.sql("DROP TRIGGER fail ON audit_event").await;
    for (user, method, path, body, status) in &requests {
        let mut request = world.request(user, method.clone(), path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = Reply::to(request).await;
        assert_eq!(reply.status.as_u16(), *status, "as before: {user} {method} {path}: {}", reply.text);
    }
}
