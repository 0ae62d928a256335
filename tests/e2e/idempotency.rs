//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): what is sent twice is carried out once.

use end_to_end::{
    World,
    application::{application, member},
    point::{blood_pressure, observation},
    reply::Reply,
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

pub const PATIENTS: &str = "/api/v1/patients";

/// A key as the draft's examples have it.
pub const KEY: &str = "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"";

pub fn nora() -> Value {
    json!({ "organizationId": 20003, "telecomEmail": "nora.new@example.com", "nameFamily": "New", "nameGiven": "Nora",
            "birthDate": "1991-04-12" })
}

pub fn keyed(world: &World, user: &str, path: &str, key: &str, body: &Value) -> RequestBuilder {
    world.request(user, Method::POST, path).header("idempotency-key", key).json(body)
}

pub async fn post(world: &World, user: &str, path: &str, key: &str, body: &Value) -> Reply {
    Reply::to(keyed(world, user, path, key, body)).await
}

pub async fn patients(world: &World) -> i64 {
    world.count("SELECT count(*) FROM patient").await
}

fn is_replayed(reply: &Reply) -> bool {
    reply.header("idempotency-replayed") == "true"
}

/// Moves all claims into the past.
pub async fn later(world: &World, interval: &str) {
    world.sql(&format!("UPDATE idempotency_key SET claimed_at = claimed_at - interval '{interval}' RETURNING 1")).await;
}

#[tokio::test]
async fn a_patient_created_twice_with_one_key_is_one_patient_with_one_answer() {
    let world = World::new().await;
    let before = patients(&world).await;
    let first = post(&world, "member_megan", PATIENTS, KEY, &nora()).await;
    assert_eq!((first.status.as_u16(), is_replayed(&first)), (201, false), "{}", first.text);
    let end = world.audit_end().await;
    for _ in 0..2 {
        let again = post(&world, "member_megan", PATIENTS, KEY, &nora()).await;
        assert_eq!((again.status.as_u16(), is_replayed(&again)), (201, true));
        assert_eq!((&again.text, again.header("content-type")), (&first.text, first.header("content-type")));
        assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    }
    assert_eq!(patients(&world).await, before + 1);
    let events = world.audit_after(end).await;
    assert_eq!(events.len(), 2, "one for each replay: {events:?}");
    let id = i32::try_from(first.json()["id"].as_i64().expect("an id")).expect("an id");
    for event in events {
        assert_eq!((event.action.as_str(), event.resource_type.as_str()), ("execute", "IdempotencyKey"));
        assert_eq!((event.outcome.as_str(), event.actor, event.client), ("allowed", Some(10003), Some(4)));
        assert_eq!((event.patients, event.organizations), (vec![id], vec![20003]), "whom the answer is about");
    }
    let replayed = world.sql("SELECT detail->>'replayed' FROM audit_event ORDER BY id DESC LIMIT 1").await;
    assert_eq!(replayed[0].get::<_, String>(0), first.header("x-request-id"));
}

#[tokio::test]
async fn a_key_is_of_one_user_with_one_client_and_of_one_request() {
    let world = World::new().await;
    let first = post(&world, "member_megan", PATIENTS, KEY, &nora()).await;
    assert_eq!(first.status.as_u16(), 201, "{}", first.text);
    let mut other = nora();
    other["nameGiven"] = "Norah".into();
    let before = patients(&world).await;
    let reply = post(&world, "member_megan", PATIENTS, KEY, &other).await;
    reply.assert_well_formed(runtime::Protocol::Rest, "another body");
    assert_eq!(reply.status.as_u16(), 422, "{}", reply.text);
    let consents = format!("{PATIENTS}/40001/consents");
    for path in [consents.as_str(), "/api/v1/patients?x=1", "/api/v1/studies/30001/patients"] {
        assert_eq!(post(&world, "member_megan", path, KEY, &nora()).await.status.as_u16(), 422, "{path}");
    }
    assert_eq!(patients(&world).await, before);
    // The same key of somebody else, and of the same user with another client.
    let reply = post(&world, "manager_mary", PATIENTS, KEY, &other).await;
    assert_eq!((reply.status.as_u16(), is_replayed(&reply)), (400, false), "the e-mail is taken: {}", reply.text);
    world.sql("UPDATE oauth_grant SET client_id = 1 WHERE user_id = 10003 RETURNING 1").await;
    world.sql("UPDATE oauth_client SET whole_access = true WHERE id = 1 RETURNING 1").await;
    let reply = post(&world, "member_megan", PATIENTS, KEY, &nora()).await;
    assert_eq!((reply.status.as_u16(), is_replayed(&reply)), (400, false), "the e-mail is taken: {}", reply.text);
}

#[tokio::test]
async fn who_asks_again_must_hold_a_token_that_is_good_and_as_good() {
    let world = World::new().await;
    let first = post(&world, "member_megan", PATIENTS, KEY, &nora()).await;
    assert_eq!(first.status.as_u16(), 201, "{}", first.text);
    let of_megan = "(SELECT id FROM oauth_grant WHERE user_id = 10003)";
    world
        .sql(&format!("UPDATE access_token SET scope = 'openid patient/*.rs' WHERE grant_id IN {of_megan} RETURNING 1"))
        .await;
    let less = post(&world, "member_megan", PATIENTS, KEY, &nora()).await;
    assert_eq!(less.status.as_u16(), 422, "another scope: {}", less.text);
    world.sql(&format!("UPDATE access_token SET revoked_at = now() WHERE grant_id IN {of_megan} RETURNING 1")).await;
    for key in [KEY, "\"another\""] {
        let revoked = post(&world, "member_megan", PATIENTS, key, &nora()).await;
        assert_eq!((revoked.status.as_u16(), is_replayed(&revoked)), (401, false), "{}", revoked.text);
    }
    let anonymous = world.anonymous(Method::POST, PATIENTS).header("idempotency-key", KEY).json(&nora());
    assert_eq!(Reply::to(anonymous).await.status.as_u16(), 401);
    assert_eq!(world.count("SELECT count(*) FROM idempotency_key").await, 1, "nothing is kept for strangers");
}

#[tokio::test]
async fn a_secret_that_is_told_once_is_told_again_by_its_key_and_not_by_the_database() {
    let world = World::new().await;
    let body = application("client_secret_basic", &json!({}));
    let first = post(&world, "admin", "/api/v1/clients", "a-secret-key", &body).await;
    assert_eq!(first.status.as_u16(), 201, "{}", first.text);
    let client = first.json();
    let secret = member(&client, "clientSecret");
    let again = post(&world, "admin", "/api/v1/clients", "a-secret-key", &body).await;
    assert_eq!((again.json(), is_replayed(&again)), (first.json(), true));
    for text in [secret, "a-secret-key"] {
        assert_eq!(world.tables_with(text).await, [""; 0], "kept in the clear");
    }
    // An answer in the row of another request is not opened.
    let other = post(&world, "admin", "/api/v1/clients", "another-key", &body).await;
    assert_eq!(other.status.as_u16(), 201, "{}", other.text);
    let moved = "UPDATE idempotency_key k SET answer = (SELECT answer FROM idempotency_key o WHERE o.key_hash <> k.key_hash) RETURNING 1";
    assert_eq!(world.sql(moved).await.len(), 2);
    let reply = post(&world, "admin", "/api/v1/clients", "another-key", &body).await;
    assert_eq!(reply.status.as_u16(), 409, "{}", reply.text);
    assert!(reply.text.contains("was carried out"), "{}", reply.text);
}

#[tokio::test]
async fn a_refusal_is_kept_too() {
    let world = World::new().await;
    let mut body = nora();
    body["birthDate"] = "yesterday".into();
    let first = post(&world, "member_megan", PATIENTS, KEY, &body).await;
    assert_eq!(first.status.as_u16(), 400, "{}", first.text);
    let again = post(&world, "member_megan", PATIENTS, KEY, &body).await;
    assert_eq!((again.status.as_u16(), is_replayed(&again), &again.text), (400, true, &first.text));
    let first = post(&world, "viewer_victor", PATIENTS, KEY, &nora()).await;
    assert_eq!(first.status.as_u16(), 403, "{}", first.text);
    let again = post(&world, "viewer_victor", PATIENTS, KEY, &nora()).await;
    assert_eq!((again.status.as_u16(), is_replayed(&again)), (403, true));
}

#[tokio::test]
async fn after_a_day_a_key_is_new() {
    let world = World::new().await;
    let first = post(&world, "member_megan", PATIENTS, KEY, &nora()).await;
    assert_eq!(first.status.as_u16(), 201, "{}", first.text);
    later(&world, "23 hours 59 minutes").await;
    assert!(is_replayed(&post(&world, "member_megan", PATIENTS, KEY, &nora()).await));
    later(&world, "2 minutes").await;
    let mut other = nora();
    other["telecomEmail"] = "other@example.com".into();
    let second = post(&world, "member_megan", PATIENTS, KEY, &other).await;
    assert_eq!((second.status.as_u16(), is_replayed(&second)), (201, false), "{}", second.text);
    assert_ne!(second.json()["id"], first.json()["id"]);
    assert!(is_replayed(&post(&world, "member_megan", PATIENTS, KEY, &other).await));
    assert_eq!(world.count("SELECT count(*) FROM idempotency_key").await, 1);
}

#[tokio::test]
async fn an_observation_is_uploaded_once() {
    let world = World::new().await;
    let body = observation(40001, 70001, &blood_pressure(120, "2026-02-01T07:00:00Z"), "once");
    let before = world.stored().await;
    let first = post(&world, "ll_patient_peter", "/FHIR/R5/Observation", KEY, &body).await;
    assert_eq!(first.status.as_u16(), 201, "{}", first.text);
    assert!(!first.header("location").is_empty());
    let request = keyed(&world, "ll_patient_peter", "/FHIR/R5/Observation", KEY, &body);
    let again = Reply::to(request.header("accept", "application/fhir+json")).await;
    assert_eq!((again.status.as_u16(), is_replayed(&again), &again.text), (201, true, &first.text));
    for name in ["location", "etag", "last-modified"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_eq!(again.header("content-type"), "application/fhir+json", "as this request asks for it");
    assert_eq!(world.stored().await.observations, before.observations + 1);
    let events = world.audit_after(world.audit_end().await - 1).await;
    assert_eq!((&events[0].patients, events[0].observations.len()), (&vec![40001], 1));
    let other = observation(40001, 70001, &blood_pressure(121, "2026-02-01T07:00:00Z"), "once more");
    let outcome = post(&world, "ll_patient_peter", "/FHIR/R5/Observation", KEY, &other).await;
    outcome.refusal(422, "another body");
}

#[tokio::test]
async fn a_key_that_cannot_be_one_is_refused_and_no_key_costs_nothing() {
    let world = World::new().await;
    let long = "k".repeat(256);
    for key in ["a b", "", long.as_str()] {
        let reply = post(&world, "member_megan", PATIENTS, key, &nora()).await;
        reply.assert_well_formed(runtime::Protocol::Rest, key);
        assert_eq!(reply.status.as_u16(), 400, "{key}");
    }
    let twice = keyed(&world, "member_megan", PATIENTS, "a", &nora()).header("idempotency-key", "b");
    assert_eq!(Reply::to(twice).await.status.as_u16(), 400);
    assert_eq!(world.post("member_megan", PATIENTS, &nora()).await.0.as_u16(), 201);
    let get = world.request("member_megan", Method::GET, PATIENTS).header("idempotency-key", KEY);
    assert_eq!(Reply::to(get).await.status.as_u16(), 200);
    assert_eq!(world.count("SELECT count(*) FROM idempotency_key").await, 0);
}
