//! `Idempotency-Key` when requests meet, callers go away and the database fails: at most once, and the truth about it.

use crate::idempotency::{KEY, PATIENTS, keyed, later, nora, patients, post};
use end_to_end::{
    World,
    proxy::{Direction, Proxy},
    reply::Reply,
};
use serde_json::json;

/// A transaction of the owner that lets nobody write patients.
async fn hold(world: &World) -> tokio_postgres::Client {
    let owner = world.as_owner().await;
    owner.batch_execute("BEGIN; LOCK TABLE patient IN SHARE MODE").await.expect("locked");
    owner
}

/// Waits until a request has claimed its key and its statement waits for the lock.
async fn until_it_waits(world: &World) {
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'patient'::regclass AND EXISTS (SELECT FROM idempotency_key)";
    while world.count(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn of_two_at_the_same_time_one_is_carried_out_and_the_other_told_to_ask_again() {
    let world = World::new().await;
    let before = patients(&world).await;
    let lock = hold(&world).await;
    let first = tokio::spawn(Reply::to(keyed(&world, "member_megan", PATIENTS, KEY, &nora())));
    until_it_waits(&world).await;
    let second = post(&world, "member_megan", PATIENTS, KEY, &nora()).await;
    assert_eq!((second.status.as_u16(), second.header("retry-after")), (409, "2"), "{}", second.text);
    lock.batch_execute("COMMIT").await.expect("released");
    let first = first.await.expect("an answer");
    assert_eq!(first.status.as_u16(), 201, "{}", first.text);
    let third = post(&world, "member_megan", PATIENTS, KEY, &nora()).await;
    assert_eq!((third.status.as_u16(), &third.text), (201, &first.text));
    assert_eq!(patients(&world).await, before + 1);
}

#[tokio::test]
async fn a_request_whose_caller_went_away_is_answered_when_it_comes_again() {
    let world = World::new().await;
    let before = patients(&world).await;
    let lock = hold(&world).await;
    let gone = tokio::spawn(Reply::to(keyed(&world, "member_megan", PATIENTS, KEY, &nora())));
    until_it_waits(&world).await;
    gone.abort();
    assert!(gone.await.expect_err("aborted").is_cancelled());
    lock.batch_execute("COMMIT").await.expect("released");
    let again = loop {
        let again = post(&world, "member_megan", PATIENTS, KEY, &nora()).await;
        if again.header("retry-after").is_empty() {
            break again;
        }
    };
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, "true"), "{}", again.text);
    assert_eq!(patients(&world).await, before + 1);
}

#[tokio::test]
async fn an_error_of_ours_frees_the_key_unless_something_was_done() {
    let world = World::new().await;
    let before = patients(&world).await;
    world.as_owner().await.batch_execute("REVOKE INSERT ON patient FROM jhe_app").await.expect("revoked");
    for _ in 0..2 {
        let failed = post(&world, "member_megan", PATIENTS, KEY, &nora()).await;
        assert_eq!(failed.status.as_u16(), 500, "{}", failed.text);
    }
    // Now the patient is created, and the reading of it for the answer fails.
    let owner = world.as_owner().await;
    owner
        .batch_execute(
            "GRANT INSERT ON patient TO jhe_app;
             CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
             CREATE TRIGGER fail BEFORE INSERT ON audit_event FOR EACH ROW WHEN (NEW.action = 'read') EXECUTE FUNCTION fail();",
        )
        .await
        .expect("a trigger");
    let failed = post(&world, "member_megan", PATIENTS, KEY, &nora()).await;
    assert_eq!((failed.status.as_u16(), patients(&world).await), (500, before + 1), "{}", failed.text);
    owner.batch_execute("DROP TRIGGER fail ON audit_event").await.expect("no trigger");
    assert_eq!(post(&world, "member_megan", PATIENTS, KEY, &nora()).await.header("retry-after"), "2");
    later(&world, "1 minute").await;
    let again = post(&world, "member_megan", PATIENTS, KEY, &nora()).await;
    assert_eq!((again.status.as_u16(), again.header("retry-after")), (409, ""), "{}", again.text);
    assert!(again.text.contains("not known"), "{}", again.text);
    assert_eq!(patients(&world).await, before + 1);
}

#[tokio::test]
async fn cut_anywhere_on_the_way_to_the_database_and_back_a_request_is_carried_out_once_or_not_at_all() {
    let proxy = Proxy::start(World::database_port()).await;
    // One connection, so that the packets of a request are all of one.
    let world = World::with(&[("DB_PORT", &proxy.port.to_string()), ("DB_POOL_SIZE", "1")]).await;
    // The statements are prepared: every request sends the same packets.
    for direction in [Direction::ToDatabase, Direction::FromDatabase] {
        for packet in 0..200 {
            let mut body = nora();
            body["telecomEmail"] = format!("{direction:?}{packet}@example.com").to_lowercase().into();
            let key = format!("{direction:?}-{packet}");
            let before = patients(&world).await;
            proxy.arm(direction, packet);
            let first = post(&world, "member_megan", PATIENTS, &key, &body).await;
            let was_cut = proxy.disarm(direction);
            let done = patients(&world).await - before;
            assert!([201, 503].contains(&first.status.as_u16()), "{key}: {}", first.text);
            assert!(done == 1 || (done == 0 && first.status.as_u16() == 503), "{key}: {done}");
            let again = post(&world, "member_megan", PATIENTS, &key, &body).await;
            let after = patients(&world).await - before;
            match again.status.as_u16() {
                201 => assert_eq!(after, 1, "{key}"),
                // It may have been done; it is not done now.
                409 => assert_eq!(after, done, "{key}: {}", again.text),
                other => panic!("{key}: {other} {}", again.text),
            }
            if !was_cut {
                assert_eq!((first.status.as_u16(), again.header("idempotency-replayed")), (201, "true"), "{key}");
                assert!(packet >= 5, "token, claim, role, patient and answer are separate packets: {packet}");
                break;
            }
        }
    }
    later(&world, "1 minute").await;
    let unknown = world.count("SELECT count(*) FROM idempotency_key WHERE finished_at IS NULL").await;
    assert!(unknown > 0, "some were cut between the claim and the answer");
}

#[tokio::test]
async fn a_large_answer_is_not_kept_and_its_request_is_not_repeated() {
    let world = World::new().await;
    // The answer of a decision has the text of its scope.
    let large = "UPDATE scope SET text = repeat('x', 1048577) WHERE code = 'omh:heart-rate:2.0'";
    world.as_owner().await.execute(large, &[]).await.expect("a large text");
    let path = "/api/v1/patients/40001/consents";
    let decision = json!({ "studyScopeConsents": [{ "studyId": 30001, "scopeConsents": [
        { "codingSystem": "https://w3id.org/openmhealth", "codingCode": "omh:heart-rate:2.0", "consented": true }] }] });
    let first = post(&world, "ll_patient_peter", path, KEY, &decision).await;
    assert_eq!(first.status.as_u16(), 201, "{:.200}", first.text);
    assert!(first.text.len() > 1024 * 1024, "{}", first.text.len());
    let end = world.audit_end().await;
    let again = post(&world, "ll_patient_peter", path, KEY, &decision).await;
    assert_eq!(again.status.as_u16(), 409, "{}", again.text);
    assert!(world.audit_after(end).await.iter().all(|event| event.outcome == "failed"), "nothing was shown");
}
