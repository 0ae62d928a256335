//! What every event says: who, in which session, with which role. And that what nobody asks for by a request is recorded too.

use crate::template::text;
use end_to_end::{World, browser::Browser, reply::Reply};
use reqwest::Method;
use runtime::Occasion;
use serde_json::json;

/// The sessions of the events after a place in the audit.
async fn sessions(world: &World, end: i64) -> Vec<Option<String>> {
    let statement = format!("SELECT session FROM audit_event WHERE id > {end} ORDER BY id");
    world.sql(&statement).await.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn the_events_of_a_session_are_tied_together_and_no_token_is_in_them() {
    let world = World::new().await;
    let end = world.audit_end().await;
    for user in ["viewer_victor", "viewer_victor", "manager_mark"] {
        world.get(user, "/FHIR/R5/Observation?patient=40001").await;
    }
    let found = sessions(&world, end).await;
    let [Some(one), Some(two), Some(other)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(one, two);
    assert_ne!(one, other, "and those that were refused, too");
    let grant: i64 = one.strip_prefix("grant:").and_then(|id| id.parse().ok()).expect("a grant");
    let whose = world.count(&format!("SELECT user_id::int8 FROM oauth_grant WHERE id = {grant}")).await;
    assert_eq!(whose, 10004);
    for user in ["viewer_victor", "manager_mark"] {
        let token = world.token(user);
        let with_token = format!("SELECT count(*) FROM audit_event e WHERE e::text LIKE '%{token}%'");
        assert_eq!(world.count(&with_token).await, 0, "{user}");
    }
}

#[tokio::test]
async fn a_sign_in_and_what_the_browser_does_after_it_have_one_session() {
    let world = World::new().await;
    let end = world.audit_end().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    browser.get(&world.authorize_path().await).await;
    let statement = format!(
        "SELECT DISTINCT session FROM audit_event WHERE id > {end} AND outcome = 'allowed' AND resource_type IN ('Session', 'Authorization')"
    );
    let rows = world.sql(&statement).await;
    assert_eq!(rows.len(), 1, "one session");
    let session: String = rows[0].get(0);
    assert!(session.starts_with("browser:") && session.len() == 40, "{session}");
}

#[tokio::test]
async fn settings_roles_scheduled_jobs_and_refusals_are_on_record_with_who_and_as_what() {
    let world = World::new().await;
    let setting = world.sql("SELECT id FROM setting WHERE key = 'site.ui.title'").await[0].get::<_, i32>(0);
    let requests = [
        ("admin", Method::PATCH, format!("/api/v1/jhe_settings/{setting}"), json!({ "value": "Another" })),
        (
            "manager_mary",
            Method::POST,
            "/api/v1/organizations/20003/user".to_owned(),
            json!({ "jheUserId": 10004, "organizationPartitionerRole": "member" }),
        ),
        ("viewer_victor", Method::DELETE, "/api/v1/studies/30001".to_owned(), json!(null)),
    ];
    for (user, method, path, body) in requests {
        let end = world.audit_end().await;
        let mut request = world.request(user, method.clone(), &path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let reply = Reply::to(request).await;
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), 1, "{method} {path}: {} {}: {events:?}", reply.status, reply.text);
        assert_eq!(events[0].request_id, reply.header("x-request-id"), "{path}");
        assert_eq!(events[0].privileged, user == "admin", "{path}");
        assert_eq!(events[0].outcome == "allowed", reply.status.is_success(), "{path}");
        assert!(events[0].actor.is_some() && events[0].source.is_some(), "{path}: {events:?}");
    }
    let end = world.audit_end().await;
    let occasion = Occasion::new("a-job", json!({ "now": true }));
    let _ = oauth_rotate_keys::FUNCTION.run(&world.app, &occasion).await;
    let jobs = world.audit_after(end).await;
    assert!(
        !jobs.is_empty() && jobs.iter().all(|job| job.actor_type == "system" && job.request_id == "a-job"),
        "{jobs:?}"
    );
}

#[test]
fn every_scheduled_function_that_changes_something_records_it() {
    // Two leave their work to one crate.
    const WORK: [(&str, &str); 2] =
        [("backup-create", "shared/backup-job/src/create.rs"), ("backup-verify", "shared/backup-job/src/drill.rs")];
    // It has no way to the database: `CloudTrail` has its calls.
    let recording = standalone::SCHEDULED.iter().filter(|function| function.name != "rds-snapshots");
    for function in recording {
        let work = WORK.iter().find(|(name, _)| *name == function.name);
        let source = text(
            work.map_or_else(|| format!("functions/{}/src/lib.rs", function.name), |(_, path)| (*path).to_owned()),
        );
        assert!(source.contains("occasion.audit("), "{} says nothing to the audit", function.name);
    }
}

/// What happened to a request is on record, also when it read something first.
#[tokio::test]
async fn a_change_of_an_account_that_is_refused_is_recorded_as_that() {
    let world = World::new().await;
    for (path, body) in [
        ("/api/v1/users/10003", json!({ "email": "another@example.com" })),
        ("/api/v1/users/10003", json!({ "isActive": "maybe" })),
        ("/api/v1/practitioners/80003", json!({ "telecomEmail": "another@example.com" })),
    ] {
        let end = world.audit_end().await;
        let (status, answer) = world.send("admin", Method::PATCH, path, &body).await;
        assert_eq!(status, 400, "{answer}");
        let rows = world
            .sql(&format!(
                "SELECT outcome || ' ' || action || ' ' || refused_by || ' ' || privileged || ' ' || (detail->>'id') FROM audit_event
                  WHERE id > {end} AND action <> 'read' AND action <> 'search'"
            ))
            .await;
        let [row] = rows.as_slice() else { panic!("{path} {body}: one record of how it ended") };
        let id = path.rsplit('/').next().expect("an id");
        assert_eq!(row.get::<_, String>(0), format!("failed update invalid true {id}"), "{path} {body}");
    }
    // What was done has one record.
    let end = world.audit_end().await;
    let (status, _) = world.send("admin", Method::PATCH, "/api/v1/users/10003", &json!({ "firstName": "Meg" })).await;
    assert_eq!(status, 200);
    let updates = format!("SELECT count(*) FROM audit_event WHERE id > {end} AND action = 'update'");
    assert_eq!(world.count(&updates).await, 1);
}
