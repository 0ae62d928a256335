//! Whatever the owner of the database does to what is sealed, with every trigger switched off, is found and located.

use end_to_end::sealed::{Sealed, findings, seal};
use runtime::Failure;
use serde_json::json;
use std::fs;

/// An event as somebody would add it who owns the database.
fn inserted(time: &str) -> String {
    format!(
        "INSERT INTO audit_event (occurred_at, request_id, actor_type, action, resource_type, organization_ids, study_ids, patient_ids,
                                  observation_ids, outcome, privileged)
         VALUES ({time}, 'made up', 'system', 'read', 'Observation', '{{}}', '{{}}', '{{40001}}', '{{}}', 'allowed', false)"
    )
}

/// The number of the event that was made up.
async fn made_up(sealed: &Sealed) -> i64 {
    sealed.world.count("SELECT id FROM audit_event WHERE request_id = 'made up'").await
}

fn assert_found(found: &[String], expected: &[String], what: &str) {
    for line in expected {
        assert!(found.contains(line), "{what}: {line:?} is not in {found:?}");
    }
}

#[tokio::test]
async fn an_event_that_was_inserted_is_found_whenever_it_says_it_was() {
    let sealed = Sealed::with(2).await;
    let event = sealed.event(2, 0).await;
    let time = format!("(SELECT occurred_at FROM audit_event WHERE id = {event})");
    sealed.tamper(&inserted(&time)).await;
    let expected = format!("seal 2: event {}: it was inserted after the seal", made_up(&sealed).await);
    assert_found(&sealed.findings().await, &[expected], "among others");
    for (time, at) in [("'2001-01-01'", "seal 1: "), ("'1969-12-31'", ""), ("'-infinity'", ""), ("'0044-03-15 BC'", "")]
    {
        let sealed = Sealed::with(1).await;
        sealed.tamper(&inserted(time)).await;
        let what =
            if at.is_empty() { "its time is before that of every seal" } else { "it was inserted after the seal" };
        let expected = format!("{at}event {}: {what}", made_up(&sealed).await);
        assert_found(&sealed.findings().await, &[expected], time);
    }
}

#[tokio::test]
async fn an_event_of_a_time_to_come_is_found_and_one_of_no_time_is_not_let_in() {
    for (before, time) in [
        ("", "'2131-01-01'"),
        ("", "clock_timestamp() + interval '2 hours'"),
        ("ALTER TABLE audit_event DROP CONSTRAINT audit_event_time;", "'infinity'"),
    ] {
        let sealed = Sealed::with(1).await;
        sealed.tamper(&format!("{before} {}", inserted(time))).await;
        let expected = format!("event {}: its time is yet to come", made_up(&sealed).await);
        assert_eq!(sealed.findings().await, [expected], "{time}");
    }
    let sealed = Sealed::with(1).await;
    let owner = sealed.world.as_owner().await;
    owner.batch_execute("SET session_replication_role = replica").await.expect("the owner may");
    for statement in [
        inserted("'infinity'"),
        "UPDATE audit_event SET occurred_at = 'infinity'".to_owned(),
        "INSERT INTO audit_change (event_id, occurred_at, before) VALUES (1, 'infinity', '{}')".to_owned(),
    ] {
        let refused = owner.batch_execute(&statement).await.expect_err("refused");
        assert_eq!(refused.code(), Some(&tokio_postgres::error::SqlState::CHECK_VIOLATION), "{statement}");
    }
    // Parts that are made later have it too.
    owner.batch_execute("SET session_replication_role = origin; SELECT audit_make_parts(5)").await.expect("parts");
    let without = "SELECT count(*) FROM pg_inherits i WHERE i.inhparent IN ('audit_event'::regclass, 'audit_change'::regclass)
                      AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = i.inhrelid AND c.conname LIKE 'audit\\_%\\_time')";
    assert_eq!(sealed.world.count(without).await, 0);
}

#[tokio::test]
async fn a_change_of_any_column_is_found() {
    let sealed = Sealed::with(2).await;
    let columns =
        "SELECT column_name::text, data_type::text FROM information_schema.columns WHERE table_name = 'audit_event'";
    let mut changed = 0;
    for row in sealed.world.sql(columns).await {
        let (column, kind): (String, String) = (row.get(0), row.get(1));
        let other = match (column.as_str(), kind.as_str()) {
            // These have tests of their own.
            ("id" | "occurred_at", _) => continue,
            ("actor_role", _) => "CASE WHEN actor_role = 'manager' THEN 'viewer' ELSE 'manager' END::member_role",
            ("outcome", _) => "'failed', refused_by = 'invalid'",
            ("refused_by", _) => "'invalid', outcome = 'denied'",
            ("actor_type", _) => "'anonymous'",
            ("action", _) => "'delete'",
            (_, "integer") => "123456",
            (_, "boolean") => "NOT privileged",
            (_, "ARRAY") => "'{7}'",
            (_, "jsonb") => r#"'{"note": "another"}'"#,
            _ => "'another'",
        };
        let event = sealed.event(1, 0).await;
        let keep = format!("CREATE TABLE kept AS SELECT * FROM audit_event WHERE id = {event}");
        sealed.tamper(&format!("{keep}; UPDATE audit_event SET {column} = {other} WHERE id = {event}")).await;
        let expected = [
            format!("seal 1: event {event}: it was changed after the seal"),
            "seal 1: its root is not that of its events".to_owned(),
        ];
        assert_eq!(sealed.findings().await, expected, "{column}");
        let as_before = format!(
            "DELETE FROM audit_event WHERE id = {event}; INSERT INTO audit_event OVERRIDING SYSTEM VALUE SELECT * FROM kept"
        );
        sealed.tamper(&format!("{as_before}; DROP TABLE kept")).await;
        changed += 1;
    }
    assert!(changed >= 17, "{changed}");
    assert_eq!(sealed.findings().await, [""; 0], "as it was");
}

#[tokio::test]
async fn events_that_were_deleted_moved_or_renumbered_are_found() {
    let sealed = Sealed::with(2).await;
    let (one, two) = (sealed.event(1, 0).await, sealed.event(1, 1).await);
    let deleted = |event: i64| format!("seal 1: event {event}: it was deleted after the seal");
    let changed = |event: i64| format!("seal 1: event {event}: it was changed after the seal");
    let moved = |event: i64| format!("seal 2: event {event}: it was inserted after the seal");
    let time = |event: i64| format!("(SELECT occurred_at FROM audit_event WHERE id = {event})");
    let all = format!("CREATE TABLE kept AS SELECT * FROM audit_event WHERE id IN ({one}, {two})");
    let (later, last) = (sealed.event(2, 0).await, "clock_timestamp()");
    for (statement, expected) in [
        (format!("DELETE FROM audit_event WHERE id = {one}"), vec![deleted(one)]),
        (
            format!("UPDATE audit_event SET id = {one} + {two} - id WHERE id IN ({one}, {two})"),
            vec![changed(one), changed(two)],
        ),
        (
            format!("UPDATE audit_event SET id = 999999 WHERE id = {one}"),
            vec![deleted(one), "seal 1: event 999999: it was inserted after the seal".to_owned()],
        ),
        (
            format!(
                "UPDATE audit_event SET occurred_at = CASE id WHEN {one} THEN {} ELSE {} END WHERE id IN ({one}, {two})",
                time(two),
                time(one)
            ),
            vec![changed(one), changed(two)],
        ),
        (
            format!("UPDATE audit_event SET occurred_at = {} WHERE id = {one}", time(later)),
            vec![deleted(one), moved(one)],
        ),
        (format!("UPDATE audit_event SET occurred_at = {last} WHERE id = {one}"), vec![deleted(one)]),
    ] {
        sealed.tamper(&format!("{all}; {statement}")).await;
        let found = sealed.findings().await;
        assert_found(&found, &expected, &statement);
        assert_found(&found, &["seal 1: its root is not that of its events".to_owned()], &statement);
        let as_before = format!("DELETE FROM audit_event WHERE id IN ({one}, {two}, 999999)");
        let insert = "INSERT INTO audit_event OVERRIDING SYSTEM VALUE SELECT * FROM kept";
        sealed.tamper(&format!("{as_before}; {insert}; DROP TABLE kept")).await;
    }
    assert_eq!(sealed.findings().await, [""; 0], "as it was");
}

#[tokio::test]
async fn what_a_change_changed_is_neither_replaced_nor_removed_nor_added_to() {
    let sealed = Sealed::new().await;
    let body = json!({ "name": "Another name" });
    let (status, answer) =
        sealed.world.send("manager_mary", reqwest::Method::PATCH, "/api/v1/studies/30001", &body).await;
    assert_eq!(status, 200, "{answer}");
    sealed.seal().await.expect("sealed");
    let event = sealed.world.count("SELECT max(event_id) FROM audit_change").await;
    sealed.tamper(&format!("CREATE TABLE kept AS SELECT * FROM audit_change WHERE event_id = {event}")).await;
    let without = sealed.event(1, 0).await;
    assert_ne!(without, event);
    let (is_other, is_gone) =
        ("what it changed is not what was recorded of it", "what it changed is not there any more");
    let is_astray = "a change is said to be its that is not";
    let add = |id: &str, time: &str| {
        format!(
            "INSERT INTO audit_change (event_id, occurred_at, before, after) SELECT {id}, {time}, before, after FROM kept"
        )
    };
    let at_seal = format!("(SELECT occurred_at FROM audit_event WHERE id = {without})");
    for (statement, expected) in [
        (
            "UPDATE audit_change SET before = '{\"name\": \"X\"}'".to_owned(),
            vec![format!("seal 1: event {event}: {is_other}")],
        ),
        ("DELETE FROM audit_change".to_owned(), vec![format!("seal 1: event {event}: {is_gone}")]),
        // A microsecond beside its event, it is not its.
        (
            "UPDATE audit_change SET occurred_at = occurred_at + interval '1 us'".to_owned(),
            vec![format!("seal 1: event {event}: {is_gone}"), format!("seal 1: event {event}: {is_astray}")],
        ),
        (add("event_id", "occurred_at - interval '1 us'"), vec![format!("seal 1: event {event}: {is_astray}")]),
        (add("999999", "occurred_at"), vec![format!("seal 1: event 999999: {is_astray}")]),
        (add(&without.to_string(), &at_seal), vec![format!("seal 1: event {without}: {is_other}")]),
        // Where no seal is.
        (add("event_id", "'-infinity'"), vec![format!("event {event}: {is_astray}")]),
        (add("event_id", "'1969-12-31'"), vec![format!("event {event}: {is_astray}")]),
        (add("event_id", "clock_timestamp() + interval '1 day'"), vec![format!("event {event}: {is_astray}")]),
        (
            format!("ALTER TABLE audit_change DROP CONSTRAINT audit_change_time; {}", add("event_id", "'infinity'")),
            vec![format!("event {event}: {is_astray}")],
        ),
    ] {
        sealed.tamper(&statement).await;
        assert_eq!(sealed.findings().await, expected, "{statement}");
        sealed.tamper("DELETE FROM audit_change; INSERT INTO audit_change SELECT * FROM kept").await;
        assert_eq!(sealed.findings().await, [""; 0], "as it was: {statement}");
    }
}

#[tokio::test]
async fn a_seal_that_was_removed_or_replaced_is_found() {
    let missing = "it is missing in the database";
    let other = "the database has another one than is kept outside of it";
    let unreadable = "it is missing outside of the database, or not readable there";
    for (statement, expected) in [
        ("DELETE FROM audit_seal WHERE sequence = 2", vec![format!("seal 2: {missing}")]),
        (
            "DELETE FROM audit_seal",
            vec![format!("seal 1: {missing}"), format!("seal 2: {missing}"), format!("seal 3: {missing}")],
        ),
        ("DELETE FROM audit_seal WHERE sequence > 1", vec![format!("seal 2: {missing}"), format!("seal 3: {missing}")]),
        (
            "UPDATE audit_seal SET signature = (SELECT signature FROM audit_seal WHERE sequence = 1) WHERE sequence = 2",
            vec![format!("seal 2: {other}")],
        ),
        (
            "UPDATE audit_seal SET sequence = 4 WHERE sequence = 3",
            vec![
                format!("seal 3: {missing}"),
                format!("seal 4: {unreadable}"),
                "seal 4: it has the number of another one".to_owned(),
            ],
        ),
        (
            "UPDATE audit_seal SET window_end = window_end + interval '1 hour' WHERE sequence = 3",
            vec!["seal 3: the database has other times for it".to_owned()],
        ),
    ] {
        let sealed = Sealed::with(3).await;
        sealed.tamper(statement).await;
        assert_eq!(sealed.findings().await, expected, "{statement}");
    }
}

#[tokio::test]
async fn a_file_that_was_removed_or_replaced_is_found() {
    let sealed = Sealed::with(3).await;
    let two = fs::read(sealed.seal_file(2)).expect("a seal");
    let unreadable = |number| format!("seal {number}: it is missing outside of the database, or not readable there");
    let put = |number: i64, bytes: &[u8]| {
        fs::remove_file(sealed.seal_file(number)).expect("removed");
        fs::write(sealed.seal_file(number), bytes).expect("written");
    };
    fs::remove_file(sealed.seal_file(2)).expect("removed");
    assert_eq!(sealed.findings().await, [unreadable(2)]);
    fs::write(sealed.seal_file(2), &two[..two.len() / 2]).expect("written");
    assert_eq!(sealed.findings().await, [unreadable(2)]);
    put(2, &fs::read(sealed.seal_file(1)).expect("a seal"));
    assert_eq!(sealed.findings().await, ["seal 2: the database has another one than is kept outside of it"]);
    put(2, &two);
    // The end of them: the database still has it.
    fs::remove_file(sealed.seal_file(3)).expect("removed");
    assert_eq!(sealed.findings().await, [unreadable(3)]);
    // There and in the database: nothing of it is left, and events are without a seal. Who kept the hash of the head finds it.
    let known = sealed.check(json!({})).await.err().map(|_| ());
    assert!(known.is_some());
    sealed.tamper("DELETE FROM audit_seal WHERE sequence = 3").await;
    assert_eq!(sealed.findings().await, [""; 0]);
    let head = json!({ "head": "00".repeat(32) });
    assert_eq!(findings(sealed.check(head).await), ["the seal with the head that was asked for is not there"]);
}

#[tokio::test]
async fn a_list_of_events_that_was_removed_or_replaced_is_found() {
    let sealed = Sealed::with(2).await;
    let (list, bytes) = (sealed.list_file(1), fs::read(sealed.list_file(1)).expect("a list"));
    let expected = "seal 1: the list of its events is missing, or not the one that was sealed";
    fs::remove_file(&list).expect("removed");
    assert_eq!(sealed.findings().await, [expected]);
    fs::write(&list, &bytes[40..]).expect("written");
    assert_eq!(sealed.findings().await, [expected]);
    // Without the list the change is still found, though not which event it is.
    let event = sealed.event(1, 0).await;
    sealed.tamper(&format!("UPDATE audit_event SET patient_ids = '{{}}' WHERE id = {event}")).await;
    assert_eq!(sealed.findings().await, [expected, "seal 1: its root is not that of its events"]);
}

#[tokio::test]
async fn seals_that_somebody_makes_with_a_key_of_their_own_are_not_believed() {
    let sealed = Sealed::with(2).await;
    let event = sealed.event(1, 0).await;
    let aside = sealed.key_file().with_extension("aside");
    // All is taken away and made again, on events that were changed. Only the key is not theirs.
    fs::rename(sealed.key_file(), &aside).expect("moved");
    for number in [1, 2] {
        fs::remove_file(sealed.seal_file(number)).expect("removed");
    }
    sealed
        .tamper(&format!("DELETE FROM audit_seal; UPDATE audit_event SET reason = 'another' WHERE id = {event}"))
        .await;
    sealed.seal().await.expect("sealed by another key");
    assert_eq!(sealed.findings().await, [""; 0], "it is their key that is there");
    fs::rename(&aside, sealed.key_file()).expect("moved");
    assert_eq!(sealed.findings().await, ["seal 1: its signature is not good"]);
    assert!(matches!(seal(&sealed.world.app).await, Err(Failure::Conflict(_))));
}

#[tokio::test]
async fn when_sealing_stops_a_check_says_so() {
    let sealed = Sealed::with(1).await;
    let late = "events that are older than six hours are not sealed: `audit-seal` does not run, or fails";
    sealed.tamper("DELETE FROM audit_seal").await;
    fs::remove_file(sealed.seal_file(1)).expect("removed");
    assert_eq!(sealed.findings().await, [""; 0], "it may come yet");
    sealed.tamper(&inserted("clock_timestamp() - interval '7 hours'")).await;
    assert_eq!(sealed.findings().await, [late]);
}
