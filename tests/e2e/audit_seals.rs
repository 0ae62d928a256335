//! The audit is sealed: what is sealed, when, by whom, and what stops it.

use end_to_end::{
    World,
    ledger::failure,
    process::Process,
    sealed::{Sealed, seal},
};
use runtime::Failure;
use seals::prove;
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt as _, pin::pin, sync::Arc, time::Duration};
use tokio_postgres::error::SqlState;

/// The head of a seal, as the file has it.
fn head(sealed: &Sealed, number: i64) -> Value {
    let seal: Value = serde_json::from_slice(&fs::read(sealed.seal_file(number)).expect("a seal")).expect("JSON");
    serde_json::from_str(seal["head"].as_str().expect("a head")).expect("JSON")
}

#[tokio::test]
async fn what_was_recorded_is_under_seals_that_follow_from_one_another() {
    let sealed = Sealed::new().await;
    assert_eq!(sealed.check(json!({})).await.expect("nothing is sealed yet")["seals"], 0);
    sealed.happen().await;
    let until = "SELECT count(*) FROM audit_event";
    let first = sealed.seal().await.expect("sealed");
    let under_first = sealed
        .world
        .count("SELECT count(*) FROM audit_event e JOIN audit_seal s ON e.occurred_at < s.window_end")
        .await;
    assert_eq!((&first["seals"], &first["events"], &first["adopted"]), (&json!(1), &json!(under_first), &json!(false)));
    sealed.happen().await;
    let second = sealed.seal().await.expect("sealed");
    let both = first["events"].as_i64().unwrap() + second["events"].as_i64().unwrap();
    assert!(both < sealed.world.count(until).await, "the record of the last sealing itself is for the next one");

    let (one, two) = (head(&sealed, 1), head(&sealed, 2));
    assert_eq!(
        (&one["sequence"], &one["from"], &one["previous"]),
        (&json!(1), &json!("1970-01-01T00:00:00Z"), &Value::Null)
    );
    assert_eq!((&two["sequence"], &two["from"], &two["previous"]), (&json!(2), &one["to"], &first["last"]["head"]));
    assert_eq!(one["key"], two["key"]);

    let report = sealed.check(json!({})).await.expect("all is as it was sealed");
    assert_eq!((&report["seals"], &report["events"], &report["findings"]), (&json!(2), &json!(both), &json!([])));
    assert_eq!(report["last"], second["last"]);
    let records = "SELECT count(*) FROM audit_event WHERE resource_type = 'AuditSeal' AND actor_type = 'system'
                      AND action = 'execute' AND outcome = 'allowed' AND request_id = 'scheduled'";
    assert_eq!(sealed.world.count(records).await, 4, "sealing and checking are recorded");
}

#[tokio::test]
async fn files_of_seals_can_be_read_by_their_owner_and_written_by_nobody() {
    let sealed = Sealed::with(1).await;
    let mode = |path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode(sealed.seal_file(1)), mode(sealed.list_file(1)), mode(sealed.key_file())), (0o400, 0o400, 0o400));
    let rows = sealed.world.sql("SELECT head, signature FROM audit_seal").await;
    let kept: Value = serde_json::from_slice(&fs::read(sealed.seal_file(1)).expect("a seal")).expect("JSON");
    assert_eq!(kept, json!({ "head": rows[0].get::<_, String>(0), "signature": rows[0].get::<_, String>(1) }));
}

#[tokio::test]
async fn what_is_not_ended_holds_its_own_time_back_and_is_under_the_next_seal() {
    let sealed = Sealed::new().await;
    let mut function = sealed.world.as_function().await;
    let running = function.transaction().await.expect("a transaction");
    let record = r#"SELECT audit_record('{"request_id": "slow", "actor_type": "system", "action": "execute", "resource_type": "Test"}',
                                        'allowed', NULL, '{}', '{}', '{}', '{}')"#;
    running.query_one(record, &[]).await.expect("recorded");
    // Its time has come, for the clock.
    seal(&sealed.world.app).await.expect("looked");
    sealed.world.sql("UPDATE audit_horizon SET at = at + interval '10 seconds'").await;
    let held = seal(&sealed.world.app).await.expect("looked");
    assert_eq!(held["seals"], 0, "{held}");
    assert!(held["unsealed_since"].is_string() && held["seal_lag_seconds"].is_number(), "{held}");

    running.commit().await.expect("committed");
    let sealing = async {
        // Whatever else runs on this server ends.
        while seal(&sealed.world.app).await.expect("looked")["last"].is_null() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), sealing).await.expect("sealed at last");
    let slow = "SELECT count(*) FROM audit_event e JOIN audit_seal s ON e.occurred_at < s.window_end WHERE request_id = 'slow'";
    assert_eq!(sealed.world.count(slow).await, 1);
    assert_eq!(sealed.findings().await, [""; 0]);
}

#[tokio::test]
async fn a_horizon_is_marked_by_nobody_who_has_written_something() {
    let sealed = Sealed::new().await;
    let function = sealed.world.as_function().await;
    let record = r#"SELECT audit_record('{"request_id": "r", "actor_type": "system", "action": "execute", "resource_type": "Test"}',
                                        'allowed', NULL, '{}', '{}', '{}', '{}')"#;
    function.batch_execute(&format!("BEGIN; {record}")).await.expect("recorded");
    assert_eq!(failure(&function, "SELECT audit_mark_horizon()").await, Some(SqlState::ACTIVE_SQL_TRANSACTION));
}

#[tokio::test]
async fn the_functions_login_only_adds_seals_and_the_owner_changes_none() {
    let sealed = Sealed::with(1).await;
    let function = sealed.world.as_function().await;
    for statement in [
        "UPDATE audit_seal SET signature = ''",
        "DELETE FROM audit_seal",
        "TRUNCATE audit_seal",
        "INSERT INTO audit_horizon (at, xid) VALUES (now() + interval '1 year', '3')",
        "UPDATE audit_horizon SET at = now() + interval '1 year'",
        "DELETE FROM audit_horizon",
    ] {
        assert_eq!(failure(&function, statement).await, Some(SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
    }
    let owner = sealed.world.as_owner().await;
    for statement in ["UPDATE audit_seal SET signature = ''", "DELETE FROM audit_seal", "TRUNCATE audit_seal"] {
        assert_eq!(failure(&owner, statement).await, Some(SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
    }
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_taken_up() {
    let sealed = Sealed::with(2).await;
    sealed.tamper("DELETE FROM audit_seal WHERE sequence = 2").await;
    let report = sealed.seal().await.expect("sealed");
    assert_eq!(
        (&report["adopted"], &report["seals"], &report["last"]["sequence"]),
        (&json!(true), &json!(1), &json!(3))
    );
    assert_eq!(sealed.findings().await, [""; 0]);
}

#[tokio::test]
async fn nothing_is_sealed_on_top_of_seals_that_do_not_agree() {
    for (statement, file) in [
        ("DELETE FROM audit_seal WHERE sequence > 1", None),
        ("DELETE FROM audit_seal", None),
        ("UPDATE audit_seal SET head = replace(head, '\"events\":', '\"events\":1') WHERE sequence = 3", None),
        ("SELECT", Some(3)),
    ] {
        let sealed = Sealed::with(3).await;
        sealed.tamper(statement).await;
        if let Some(number) = file {
            fs::remove_file(sealed.seal_file(number)).expect("removed");
        }
        sealed.happen().await;
        let before = sealed.world.count("SELECT count(*) FROM audit_seal").await;
        assert!(matches!(sealed.seal().await, Err(Failure::Conflict(_))), "{statement}");
        assert_eq!(sealed.world.count("SELECT count(*) FROM audit_seal").await, before);
    }
    let sealed = Sealed::with(1).await;
    fs::remove_file(sealed.key_file()).expect("removed");
    assert!(matches!(sealed.seal().await, Err(Failure::Conflict(_))), "another key does not go on");
}

#[tokio::test]
async fn a_seal_that_is_being_made_is_waited_for_and_no_finding() {
    let sealed = Arc::new(Sealed::new().await);
    sealed.happen().await;
    let owner = sealed.world.as_owner().await;
    owner.batch_execute("BEGIN; LOCK TABLE audit_seal IN EXCLUSIVE MODE").await.expect("nothing is entered");
    let sealing = tokio::spawn({
        let sealed = Arc::clone(&sealed);
        async move { sealed.seal().await }
    });
    assert!(sealed.world.waits(&sealing).await, "the seal is not entered at once");
    assert!(sealed.seal_file(1).exists(), "and it is kept");
    let mut check = pin!(sealed.check(json!({})));
    let found = tokio::time::timeout(Duration::from_secs(1), &mut check).await;
    assert!(found.is_err(), "the check waits for it: {found:?}");
    owner.batch_execute("COMMIT").await.expect("it may be entered");
    let report = check.await.expect("all is as it was sealed");
    assert_eq!((&report["seals"], &report["findings"]), (&json!(1), &json!([])));
    sealing.await.expect("a task").expect("sealed");
}

#[tokio::test]
async fn two_that_seal_at_once_make_one_chain() {
    let sealed = Sealed::with(1).await;
    let (other, _) = sealed.world.second_process().await;
    for _ in 0..5 {
        sealed.happen().await;
        let (one, two) = tokio::join!(sealed.seal(), seal(&other));
        // One that looks while the other is between two steps leaves it to them.
        for report in [one, two] {
            assert!(matches!(report, Ok(_) | Err(Failure::Conflict(_))), "{report:?}");
        }
    }
    sealed.seal().await.expect("sealed");
    assert_eq!(sealed.findings().await, [""; 0]);
}

#[tokio::test]
async fn many_events_are_under_several_seals_and_those_of_one_moment_under_one() {
    let sealed = Sealed::new().await;
    let many = "INSERT INTO audit_event (occurred_at, request_id, actor_type, action, resource_type, organization_ids, study_ids,
                                         patient_ids, observation_ids, outcome, privileged)
                SELECT '2026-01-01T00:00:00Z'::timestamptz + n / 20000 * interval '1 second', 'r' || n, 'system', 'execute', 'Test',
                       '{}', '{}', '{}', '{}', 'allowed', false FROM generate_series(0, 99999) n";
    sealed.world.sql(many).await;
    let report = sealed.seal().await.expect("sealed");
    assert_eq!(report["seals"], 2, "{report}");
    // Of the fourth moment some are within the size of a seal.
    assert_eq!(
        (&head(&sealed, 1)["events"], &head(&sealed, 1)["to"]),
        (&json!(80_000), &json!("2026-01-01T00:00:04Z"))
    );
    assert_eq!(sealed.findings().await, [""; 0]);
    let only = sealed.check(json!({ "since": "2026-01-01T00:00:04Z" })).await.expect("good");
    assert_eq!((&only["seals"], &only["events"]), (&json!(2), &head(&sealed, 2)["events"]));
}

#[tokio::test]
async fn an_event_is_proved_with_the_public_key_alone() {
    let sealed = Sealed::with(2).await;
    let app = &sealed.world.app;
    let occasion = runtime::Occasion::new("command", Value::Null);
    let key = seals::public_key(app).await.expect("a place").expect("a key");
    for seal in [1, 2] {
        let event = sealed.event(seal, 1).await;
        let proof = prove(app, &occasion, event).await.expect("a proof");
        assert_eq!(proof.check(&key).expect("good").sequence, seal);
        assert!(proof.leaf.contains(&format!("\"id\":{event},")), "{}", proof.leaf);
    }
    sealed.happen().await;
    let latest = sealed.world.count("SELECT max(id) FROM audit_event").await;
    assert!(matches!(prove(app, &occasion, latest).await, Err(Failure::Conflict(_))), "it is not sealed");
    assert!(matches!(prove(app, &occasion, i64::MAX).await, Err(Failure::NotFound)));
    let event = sealed.event(1, 0).await;
    sealed.tamper(&format!("UPDATE audit_event SET request_id = 'another' WHERE id = {event}")).await;
    assert!(matches!(prove(app, &occasion, event).await, Err(Failure::Conflict(_))), "it is not as it was");
    let records = "SELECT count(*) FROM audit_event WHERE resource_type = 'AuditSeal' AND action = 'read' AND request_id = 'command'";
    assert_eq!(sealed.world.count(records).await, 5, "reading the audit is recorded");
    let named = "SELECT count(*) FROM audit_event r LEFT JOIN audit_event e ON e.id = (r.detail->>'event')::bigint
                  WHERE r.request_id = 'command' AND r.detail ? 'event' AND r.patient_ids = coalesce(e.patient_ids, '{}')";
    assert_eq!(sealed.world.count(named).await, 5, "with its number and its patients");
}

#[tokio::test]
async fn a_host_serves_while_it_seals() {
    let mut world = World::new().await;
    let lock = world.as_owner().await;
    lock.batch_execute("BEGIN; LOCK TABLE audit_horizon IN SHARE MODE").await.expect("locked");
    let process = Process::serve(&mut world, &[]);
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'audit_horizon'::regclass";
    let begun = async {
        while world.count(waiting).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), begun).await.expect("it seals");
    assert_eq!(world.get("viewer_victor", "/api/v1/users/profile").await.0, 200);
    lock.batch_execute("COMMIT").await.expect("released");
    drop(process.ended());
}
