//! The database gone: 503 with `Retry-After`, recovery without a restart, nothing acknowledged lost, nothing written twice.

use end_to_end::{
    World, answer,
    point::{blood_pressure, bundle, observation},
    proxy::{Direction, Proxy},
};
use reqwest::{Method, StatusCode};
use serde_json::Value;

const PETER: i32 = 40001;

/// A world whose functions reach the database through a proxy.
async fn proxied() -> (World, Proxy) {
    let proxy = Proxy::start(World::database_port()).await;
    // One connection, so that the packets of a request are all of one.
    let world = World::with(&[("DB_PORT", &proxy.port.to_string()), ("DB_POOL_SIZE", "1")]).await;
    (world, proxy)
}

fn sample(identifier: &str) -> Value {
    observation(PETER, 70001, &blood_pressure(120, "2026-02-01T07:00:00Z"), identifier)
}

async fn rows(world: &World, identifier: &str) -> (i64, i64) {
    let claims =
        world.count(&format!("SELECT count(*) FROM observation_identifier WHERE value = '{identifier}'")).await;
    // What is stored is encrypted: an observation is known by its identifier, and one that has lost its own is counted, too.
    let kept = world
        .count(&format!(
            "SELECT count(*) FROM observation o LEFT JOIN observation_identifier i ON i.observation_id = o.id
              WHERE i.value = '{identifier}' OR i.value IS NULL"
        ))
        .await;
    (claims, kept)
}

/// Cuts an upload at every packet in one direction, until one comes through uncut; returns how many were cut.
async fn cut_everywhere(world: &World, proxy: &Proxy, direction: Direction) -> i64 {
    for packet in 0.. {
        let identifier = format!("cut-{direction:?}-{packet}");
        proxy.arm(direction, packet);
        let response = world
            .request("ll_patient_peter", Method::POST, "/FHIR/R5/Observation")
            .json(&sample(&identifier))
            .send()
            .await
            .expect("an answer");
        let was_cut = proxy.disarm(direction);
        let status = response.status();
        let retry_after = response.headers().contains_key("retry-after");
        let body: Value = response.json().await.expect("JSON");
        let (_, before_retry) = rows(world, &identifier).await;
        match status {
            StatusCode::CREATED => assert_eq!(before_retry, 1, "packet {packet}: acknowledged and lost"),
            StatusCode::SERVICE_UNAVAILABLE => {
                assert!(retry_after, "packet {packet}: no Retry-After");
                assert_eq!(body["resourceType"], "OperationOutcome");
            }
            other => panic!("packet {packet}: {other} {body}"),
        }
        // The same identifier again: stored now, or a conflict because it was stored then. Never twice.
        let (retried, body) = world.post("ll_patient_peter", "/FHIR/R5/Observation", &sample(&identifier)).await;
        let expected = if before_retry == 1 { StatusCode::CONFLICT } else { StatusCode::CREATED };
        assert_eq!(retried, expected, "packet {packet}: {body}");
        assert_eq!(rows(world, &identifier).await, (1, 1), "packet {packet}");
        if !was_cut {
            assert_eq!(status, StatusCode::CREATED);
            return packet;
        }
        assert!(packet < 200, "an upload of more than 200 packets");
    }
    unreachable!("the loop ends when an upload is not cut")
}

#[tokio::test]
async fn an_upload_cut_on_its_way_to_the_database_is_stored_once_or_not_at_all() {
    let (world, proxy) = proxied().await;
    let cuts = cut_everywhere(&world, &proxy, Direction::ToDatabase).await;
    assert!(cuts >= 4, "token, begin, facts, insert and commit are separate packets: {cuts}");
}

#[tokio::test]
async fn an_upload_cut_on_its_way_back_is_stored_once_or_not_at_all() {
    let (world, proxy) = proxied().await;
    let cuts = cut_everywhere(&world, &proxy, Direction::FromDatabase).await;
    assert!(cuts >= 4, "every step has an answer: {cuts}");
}

#[tokio::test]
async fn a_transaction_cut_in_the_middle_stores_all_or_nothing() {
    let (world, proxy) = proxied().await;
    for packet in 0..6 {
        let identifiers = [format!("all-{packet}-a"), format!("all-{packet}-b")];
        let transaction = bundle("transaction", &[sample(&identifiers[0]), sample(&identifiers[1])]);
        proxy.arm(Direction::FromDatabase, packet);
        let (status, body) = world.post("ll_patient_peter", "/FHIR/R5", &transaction).await;
        proxy.disarm(Direction::FromDatabase);
        assert!([StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&status), "{status} {body}");
        let first = rows(&world, &identifiers[0]).await;
        assert_eq!(first, rows(&world, &identifiers[1]).await, "packet {packet}: half a transaction");
        assert!(first == (0, 0) || first == (1, 1), "packet {packet}: {first:?}");
        if status == StatusCode::OK {
            assert_eq!(first, (1, 1), "packet {packet}: acknowledged and lost");
        }
    }
}

#[tokio::test]
async fn without_a_database_every_protocol_answers_503_and_recovers_without_a_restart() {
    let (world, mut proxy) = proxied().await;
    let routes = ["/FHIR/R5/Observation?patient=40001", "/FHIR/R5/Patient/40001", "/api/v1/patients", "/o/userinfo/"];
    proxy.stop().await;
    for path in routes {
        let response = world.request("member_megan", Method::GET, path).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(response.headers().contains_key("retry-after"), "{path}");
        let body = response.text().await.expect("a body");
        for internal in ["localhost", "postgres", "jhe_", "refused"] {
            assert!(!body.contains(internal), "{path} tells {internal}: {body}");
        }
    }
    // What needs no database is still served.
    assert_eq!(world.get("member_megan", "/FHIR/R5/metadata").await.0, StatusCode::OK);
    proxy.resume().await;
    for path in routes {
        let (status, body) = world.get("member_megan", path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
    }
}

#[tokio::test]
async fn when_the_server_ends_every_connection_the_functions_connect_again() {
    let world = World::new().await;
    let path = "/FHIR/R5/Observation?patient=40001";
    assert_eq!(world.get("viewer_victor", path).await.0, StatusCode::OK);
    world
        .sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        .await;
    // A request that was on its way may meet the end of its connection; none is answered with anything but 503.
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let (status, _) = answer(world.request("viewer_victor", Method::GET, path)).await;
        statuses.push(status);
    }
    assert!(statuses.iter().all(|status| [200, 503].contains(&status.as_u16())), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&StatusCode::OK), "{statuses:?}");
}
