//! What a check of the audit leaves behind: its outcome on record, and people who are told. And that it is made whatever is missing.

use crate::security_monitor::OFFICER;
use end_to_end::sealed::{Sealed, findings};
use serde_json::{Value, json};

/// The records of checks: how each ended, and what it says.
async fn records(sealed: &Sealed) -> Vec<(String, Value)> {
    let checks =
        "SELECT outcome, detail FROM audit_event WHERE resource_type = 'AuditSeal' AND detail ? 'findings' ORDER BY id";
    sealed.world.sql(checks).await.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn how_a_check_ended_is_on_record_and_people_are_told_of_what_it_found() {
    let sealed = Sealed::set(&[("SECURITY_MAIL_TO", OFFICER)]).await;
    sealed.happen().await;
    sealed.seal().await.expect("sealed");
    let report = sealed.check(json!({})).await.expect("all is as it was sealed");
    let event = sealed.event(1, 0).await;
    sealed.tamper(&format!("UPDATE audit_event SET reason = 'another' WHERE id = {event}")).await;
    assert_eq!(sealed.findings().await.len(), 2);
    let of = |count: i32| json!({ "seals": 1, "events": report["events"], "findings": count });
    assert_eq!(records(&sealed).await, [("allowed".to_owned(), of(0)), ("failed".to_owned(), of(2))]);
    let mails = sealed.world.mails();
    let [mail] = &mails[..] else { panic!("one, of what was found: {mails:?}") };
    assert_eq!(
        (mail.to.as_str(), mail.subject.as_str()),
        (OFFICER, "JupyterHealth Exchange: the audit is not as it was sealed")
    );
    assert!(!mail.text.contains("another") && !mail.text.contains(&event.to_string()), "{}", mail.text);
}

#[tokio::test]
async fn how_much_a_check_found_is_a_metric() {
    let sealed = Sealed::with(1).await;
    let found = || {
        let mut command = sealed.command(&["audit", "verify"]);
        let done = command.env("METRICS_STAGE", "a-test").output().expect("jhe is built before the tests");
        let printed = String::from_utf8(done.stdout).expect("text");
        let lines = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter_map(|line| line["AuditFindings"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(found(), [0]);
    sealed.tamper("DELETE FROM audit_seal").await;
    assert_eq!(found(), [1]);
}

#[tokio::test]
async fn who_cannot_be_told_does_not_hide_what_was_found() {
    let sealed = Sealed::set(&[("SECURITY_MAIL_TO", "no address")]).await;
    sealed.happen().await;
    sealed.seal().await.expect("sealed");
    sealed.tamper("DELETE FROM audit_seal").await;
    assert_eq!(sealed.findings().await, ["seal 1: it is missing in the database"]);
}

#[tokio::test]
async fn a_part_of_the_audit_that_was_detached_or_dropped_is_found() {
    let first = "audit_event has no part from the beginning to ";
    for (statement, expected) in [
        ("ALTER TABLE audit_event DETACH PARTITION audit_event_first", first),
        ("DROP TABLE audit_event_first", first),
        (
            "ALTER TABLE audit_change DETACH PARTITION audit_change_first",
            "audit_change has no part from the beginning to ",
        ),
        ("DROP TABLE audit_event_rest", "audit_event has no part from "),
    ] {
        let sealed = Sealed::with(1).await;
        let event = sealed.event(1, 0).await;
        sealed.world.as_owner().await.batch_execute(statement).await.expect("the owner can");
        let found = sealed.findings().await;
        assert!(
            found.iter().any(|line| line.starts_with(expected) && line.ends_with("detached or dropped")),
            "{statement}: {found:?}"
        );
        // The events of now were in the first part: nothing can be recorded any more, and what was is missed.
        let is_missed = found.contains(&format!("seal 1: event {event}: it was deleted after the seal"));
        assert_eq!(is_missed, expected == first, "{statement}: {found:?}");
    }
    let sealed = Sealed::with(1).await;
    let all = "DO $$ DECLARE part regclass; BEGIN
                 FOR part IN SELECT relid FROM pg_partition_tree('audit_event') WHERE isleaf LOOP EXECUTE format('DROP TABLE %s', part); END LOOP;
               END $$";
    sealed.world.as_owner().await.batch_execute(all).await.expect("the owner can");
    let found = findings(sealed.check(json!({})).await);
    let all = "audit_event has no part from the beginning to the end: it was detached or dropped".to_owned();
    assert!(found.contains(&all), "{found:?}");
}
