//! What lapses is deleted an hour after its time at the latest, and nothing else: each kind just before and just after its limit, what
//! has to stay, and what is interrupted.

use crate::template::text;
use end_to_end::{
    World,
    backups::contents,
    interrupted::{Interrupted, Points},
};
use retention::{FUNCTION, KINDS};
use runtime::Occasion;
use serde_json::{Value, json};
use standalone::verify::{Given, Subject, Target};
use std::{collections::BTreeSet, sync::Arc};

/// A row of each kind that came to its end `{ago}`.
const ROWS: [(&str, &str, &str); 19] = [
    ("session", "login_session", "INSERT INTO login_session (token_hash, user_id, expires_at) VALUES ({hash}, 10001, {ago})"),
    ("challenge", "login_challenge", "INSERT INTO login_challenge (token_hash, user_id, expires_at) VALUES ({hash}, 10001, {ago})"),
    (
        "email_code",
        "email_code",
        "WITH s AS (INSERT INTO login_session (token_hash, user_id, expires_at) VALUES ({hash}, 10001, 'infinity') RETURNING token_hash)
         SELECT token_hash FROM s",
    ),
    (
        "passkey_challenge",
        "passkey_challenge",
        "INSERT INTO passkey_challenge (binding_hash, purpose, challenge_hash, expires_at) VALUES ({hash}, 'sign_in', {hash}, {ago})",
    ),
    ("link", "account_link", "INSERT INTO account_link (token_hash, user_id, purpose, expires_at) VALUES ({hash}, 10001, 'reset', {ago})"),
    ("failed_attempts", "login_failure", "INSERT INTO login_failure (account_hash, failures, last_failure) VALUES ({hash}, 3, {ago})"),
    (
        "known_place",
        "login_failure",
        "INSERT INTO login_failure (account_hash, failures, last_failure, succeeded) VALUES ({hash}, 0, {ago}, true)",
    ),
    ("used_message", "used_message", "INSERT INTO used_message (id_hash, lapses_at) VALUES ({hash}, {ago})"),
    (
        "used_assertion",
        "client_assertion",
        "INSERT INTO client_assertion (client_id, jti_hash, expires_at) SELECT min(id), {hash}, {ago} FROM oauth_client",
    ),
    ("used_proof", "dpop_proof", "INSERT INTO dpop_proof (id_hash, expires_at) VALUES ({hash}, {ago})"),
    (
        "pushed_request",
        "pushed_request",
        "INSERT INTO pushed_request (reference_hash, client_id, parameters, expires_at) SELECT {hash}, min(id), '', {ago} FROM oauth_client",
    ),
    (
        "rate",
        "rate_limit",
        "INSERT INTO rate_limit (user_id, client_id, spent_until) VALUES (10001, (random() * 1e9)::int, {ago})",
    ),
    (
        "repeatable_request",
        "idempotency_key",
        "INSERT INTO idempotency_key (user_id, client_id, key_hash, fingerprint, claimed_at, request_id)
         SELECT 10001, min(id), {hash}, {hash}, {ago}, 'x' FROM oauth_client",
    ),
    ("access_token", "access_token", "INSERT INTO access_token (token_hash, grant_id, scope, expires_at) SELECT {hash}, max(id), '', {ago} FROM oauth_grant"),
    (
        "grant",
        "oauth_grant",
        "INSERT INTO oauth_grant (id, user_id, client_id, scope, granted_at, auth_time) OVERRIDING SYSTEM VALUE
         SELECT -(random() * 1e9)::int, 10001, min(id), '', {ago}, {ago} FROM oauth_client",
    ),
    (
        "invitation",
        "invitation",
        "INSERT INTO invitation (patient_id, client_id, token_hash, issued_by, issued_at, expires_at, last_updated)
         SELECT 40001, min(id), {hash}, 10001, {ago}, {ago}, {ago} FROM oauth_client",
    ),
    (
        "import",
        "patient_import",
        "INSERT INTO patient_import (organization_id, started_by, last_updated) VALUES (20001, 10001, {ago})",
    ),
    (
        "backup_run",
        "backup_run",
        "INSERT INTO backup_run (kind, backup, taken_at, began_at, ended_at, succeeded, report) VALUES ('drill', 'x', {ago}, {ago}, {ago}, true, '{}')",
    ),
    (
        "retention_run",
        "retention_run",
        "INSERT INTO retention_run (began_at, touched_at, ended_at, succeeded) VALUES ({ago}, {ago}, {ago}, true)",
    ),
];

async fn call(world: &World, input: Value) -> Value {
    FUNCTION.run(&world.app, &Occasion::new("retention-test", input)).await.expect("a report")
}

/// Makes a row that came to its end so many seconds ago.
async fn lapsed(world: &World, kind: &str, seconds: i64) {
    let (_, _, insert) = ROWS.iter().find(|(name, ..)| *name == kind).expect(kind);
    let ago = format!("clock_timestamp() - interval '{seconds} seconds'");
    let filled = insert.replace("{ago}", &ago).replace("{hash}", "sha256(gen_random_uuid()::text::bytea)");
    let made = world.sql(&filled).await;
    if let [session] = made.as_slice() {
        let hash: Vec<u8> = session.get(0);
        let code = format!("INSERT INTO email_code (session_hash, code_hash, expires_at) VALUES ($1, $1, {ago})");
        world.as_owner().await.execute(&code, &[&hash]).await.expect("a code");
    }
}

async fn rows(world: &World, table: &str) -> i64 {
    world.count(&format!("SELECT count(*) FROM {table}")).await
}

#[tokio::test]
async fn each_kind_goes_after_its_limit_and_not_before() {
    /// The limits are hours at least; a test takes seconds.
    const MARGIN: i64 = 600;
    let world = World::new().await;
    // The last of a kind stays, whatever its age.
    world.sql("INSERT INTO backup_run (id, kind, backup, taken_at, began_at, ended_at, succeeded, report) OVERRIDING SYSTEM VALUE
               VALUES (1000000, 'drill', 'x', 'epoch', 'epoch', 'epoch', true, '{}')").await;
    call(&world, json!({})).await;
    for kind in KINDS {
        let (_, table, _) = ROWS.iter().find(|(name, ..)| *name == kind.name).expect(kind.name);
        let before = rows(&world, table).await;
        for seconds in [kind.kept.as_secs() - MARGIN, kind.kept.as_secs() + MARGIN] {
            lapsed(&world, kind.name, seconds).await;
        }
        let report = call(&world, json!({ "report": true })).await;
        assert_eq!(report["lapsed"][kind.name]["due"], 1, "{}: {report}", kind.name);
        assert_eq!(rows(&world, table).await, before + 2, "{}: a report changes nothing", kind.name);
        let done = call(&world, json!({})).await;
        assert_eq!(done["of"], json!({ kind.name: 1 }), "{}: {done}", kind.name);
        // The run itself is a row, too.
        let own = i64::from(kind.name == "retention_run");
        assert_eq!(rows(&world, table).await, before + 1 + own, "{}: one is left", kind.name);
    }
}

#[tokio::test]
async fn what_is_known_by_what_lapsed_stays() {
    let world = World::new().await;
    let client = "(SELECT min(id) FROM oauth_client)";
    let grant = |id: i32, user: i32| {
        format!(
            "INSERT INTO oauth_grant (id, user_id, client_id, scope, granted_at, auth_time) OVERRIDING SYSTEM VALUE
             VALUES ({id}, {user}, {client}, '', '2020-01-01', '2020-01-01')"
        )
    };
    let hash = |name: &str| format!("sha256('{name}')");
    let kept = [
        // A family that is alive: its tokens that were used and are over tell a replay.
        grant(-1, 10001),
        format!("INSERT INTO refresh_token (token_hash, grant_id, expires_at, used_at) VALUES ({}, -1, '2020-01-02', '2020-01-01')", hash("used")),
        format!("INSERT INTO refresh_token (token_hash, grant_id, expires_at) VALUES ({}, -1, clock_timestamp() + interval '1 day')", hash("live")),
        // The only grant of an account.
        "INSERT INTO app_user (id, email, user_type) VALUES (999999, 'once@example.com', 'patient')".to_owned(),
        grant(-2, 999_999),
        // A link to the first password, which was never chosen.
        "INSERT INTO app_user (id, email, user_type) VALUES (999998, 'never@example.com', 'practitioner')".to_owned(),
        format!("INSERT INTO account_link (token_hash, user_id, purpose, expires_at) VALUES ({}, 999998, 'sign_up', '2020-01-01')", hash("first")),
        // An invitation whose token is also a code.
        grant(-3, 10001),
        format!("INSERT INTO refresh_token (token_hash, grant_id, expires_at) VALUES ({}, -3, clock_timestamp() + interval '1 day')", hash("other")),
        format!(
            "INSERT INTO oauth_code (code_hash, grant_id, redirect_uri, code_challenge, issued_at, expires_at)
             VALUES ({}, -3, '', '', '2020-01-01', '2020-01-02')",
            hash("invitation")
        ),
        format!(
            "INSERT INTO invitation (patient_id, client_id, token_hash, issued_by, status, issued_at, expires_at, last_updated)
             VALUES (40001, {client}, {}, 10001, 'cancelled', '2020-01-01', '2020-01-02', '2020-01-01')",
            hash("invitation")
        ),
    ];
    for statement in &kept {
        world.sql(statement).await;
    }
    assert_eq!(call(&world, json!({})).await["deleted"], 0);
    // When the family is over it goes with all of it, and the invitation is no code any more. The account's only grant stays.
    world.sql("UPDATE refresh_token SET expires_at = '2020-01-02' WHERE grant_id < 0").await;
    assert_eq!(call(&world, json!({})).await["of"], json!({ "grant": 2, "invitation": 1 }));
    assert_eq!(world.count("SELECT count(*) FROM refresh_token WHERE grant_id < 0").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM oauth_grant WHERE id < 0").await, 1);
    assert_eq!(world.count("SELECT count(*) FROM account_link").await, 1);
}

#[tokio::test]
async fn nobody_deletes_by_it_what_has_not_lapsed() {
    let world = World::new().await;
    let tokens = rows(&world, "access_token").await;
    let client = world.as_function().await;
    let context =
        "{\"request_id\": \"x\", \"actor_type\": \"system\", \"action\": \"delete\", \"resource_type\": \"Retention\"}";
    let run: i64 = client.query_one(&format!("SELECT retention_begin('{context}')"), &[]).await.expect("a run").get(0);
    for seconds in ["0", "-100000000"] {
        let ask = format!("SELECT retention_forget({run}, 'access_token', {seconds}, 1000)");
        assert_eq!(client.query_one(&ask, &[]).await.expect("none").get::<_, i32>(0), 0);
    }
    for refused in [
        format!("SELECT retention_forget({run}, 'observation', 0, 1000)"),
        format!("SELECT retention_forget({run}, 'access_token t WHERE true --', 0, 1000)"),
        "SELECT retention_forget(0, 'access_token', 0, 1000)".to_owned(),
        "SELECT retention_kind('session')".to_owned(),
        "UPDATE retention_run SET succeeded = true".to_owned(),
        "DELETE FROM access_token".to_owned(),
    ] {
        client.batch_execute(&refused).await.expect_err(&refused);
    }
    assert_eq!(rows(&world, "access_token").await, tokens);
}

#[tokio::test]
async fn what_somebody_holds_is_left_for_the_next_time() {
    let world = World::new().await;
    for _ in 0..3 {
        lapsed(&world, "used_message", 10 * 24 * 3600).await;
    }
    let mut holder = world.as_owner().await;
    let held = holder.transaction().await.expect("a transaction");
    held.query("SELECT FROM used_message ORDER BY id_hash LIMIT 1 FOR UPDATE", &[]).await.expect("held");
    assert_eq!(call(&world, json!({})).await["of"], json!({ "used_message": 2 }));
    held.commit().await.expect("let go");
    assert_eq!(call(&world, json!({})).await["of"], json!({ "used_message": 1 }));
}

#[tokio::test]
async fn what_was_deleted_is_on_record_and_a_call_without_work_leaves_none() {
    let world = World::new().await;
    call(&world, json!({})).await;
    let end = world.audit_end().await;
    call(&world, json!({})).await;
    assert!(world.audit_after(end).await.is_empty());
    for kind in ["used_message", "used_message", "session"] {
        lapsed(&world, kind, 10 * 24 * 3600).await;
    }
    call(&world, json!({})).await;
    let found = world
        .sql(&format!(
            "SELECT actor_type || ' ' || action || ' ' || resource_type || ' ' || outcome || ' ' || request_id, detail->>'forgotten'
               FROM audit_event WHERE id > {end}"
        ))
        .await;
    let [event] = found.as_slice() else { panic!("{} events", found.len()) };
    assert_eq!(event.get::<_, String>(0), "system delete Retention allowed retention-test");
    let forgotten: Value = serde_json::from_str(event.get(1)).expect("JSON");
    assert_eq!(forgotten, json!({ "used_message": 2, "session": 1 }));
}

/// More than one batch of what lapsed, of several kinds.
const FILL: &str = "
INSERT INTO used_message (id_hash, lapses_at) SELECT sha256(n::text::bytea), '2020-01-01' FROM generate_series(1, 1700) n;
INSERT INTO login_session (token_hash, user_id, expires_at) SELECT sha256(n::text::bytea), 10001, '2020-01-01' FROM generate_series(1, 700) n;
INSERT INTO oauth_grant (id, user_id, client_id, scope, granted_at, auth_time) OVERRIDING SYSTEM VALUE
SELECT -n, 10001, (SELECT min(id) FROM oauth_client), '', '2020-01-01', '2020-01-01' FROM generate_series(1, 600) n;
INSERT INTO access_token (token_hash, grant_id, scope, expires_at) SELECT sha256(n::text::bytea), -n, '', '2020-01-01' FROM generate_series(1, 600) n;
INSERT INTO refresh_token (token_hash, grant_id, expires_at) SELECT sha256(n::text::bytea), -n, '2020-01-01' FROM generate_series(1, 600) n;";

/// How many rows of the kinds that is; refresh tokens go with their grants.
const FILLED: i64 = 1700 + 700 + 600 + 600;

/// What is deleted, by all runs.
const DELETED: &str = "SELECT coalesce(sum(value::int8), 0)::int8 FROM retention_run, jsonb_each_text(forgotten)";

#[tokio::test]
async fn killed_at_twenty_points_it_ends_as_if_it_had_not_been() {
    const WORDS: [&str; 2] = ["retention", "run"];
    let world = World::new().await;
    let (interrupted, owner) = (Interrupted::new().await, world.as_owner().await);
    interrupted.whole(&world, &WORDS).await;
    let clean = contents(&world.owner_config()).await;
    owner.batch_execute(FILL).await.expect("filled");
    let mut points = Points::of(interrupted.whole(&world, &WORDS).await);
    let mut filled = 1;
    while points.remain() {
        owner.batch_execute(FILL).await.expect("filled");
        filled += 1;
        let at = points.next();
        interrupted.kill(&world, &WORDS, &mut points).await;
        interrupted.whole(&world, &WORDS).await;
        assert_eq!(world.count(DELETED).await, FILLED * filled, "at {at}: each is counted once");
        for (table, contents) in contents(&world.owner_config()).await {
            let differs = table.starts_with("audit") || table == "retention_run";
            assert!(contents == clean[&table] || differs, "at {at}: {table}");
        }
    }
    // Those that were killed are closed when nobody can be at work on them any more, and what they did is on record.
    let open = world.count("SELECT count(*) FROM retention_run WHERE ended_at IS NULL").await;
    assert!(open > 10, "{open} were interrupted");
    world
        .sql("UPDATE retention_run SET touched_at = clock_timestamp() - interval '1 hour' WHERE ended_at IS NULL")
        .await;
    interrupted.whole(&world, &WORDS).await;
    assert_eq!(world.count("SELECT count(*) FROM retention_run WHERE ended_at IS NULL").await, 0);
    let recorded = "SELECT coalesce(sum(value::int8), 0)::int8 FROM audit_event, jsonb_each_text(detail->'forgotten') WHERE resource_type = 'Retention'";
    assert_eq!(world.count(recorded).await, world.count(DELETED).await);
    let failed = "SELECT count(*) FROM audit_event WHERE resource_type = 'Retention' AND outcome = 'failed'";
    assert_eq!(world.count(failed).await, open);
}

#[tokio::test]
async fn verify_fails_when_no_run_was_of_late_or_the_last_one_failed() {
    let world = World::new().await;
    let subject = Subject {
        target: Target::Local,
        app: Arc::clone(&world.app),
        database: world.owner_config(),
        owner: None,
        given: Given::default(),
    };
    let verdict = async || subject.examine(&["retention".to_owned()]).await.remove(0).verdict;
    world.sql("DELETE FROM retention_run").await;
    assert_eq!(verdict().await, "fail", "never");
    call(&world, json!({})).await;
    assert_eq!(verdict().await, "pass");
    world.sql("UPDATE retention_run SET ended_at = clock_timestamp() - interval '7 hours'").await;
    assert_eq!(verdict().await, "fail", "late");
    call(&world, json!({})).await;
    assert_eq!(verdict().await, "pass");
    // A kind that cannot be deleted: the others are, and the run has failed.
    world.sql("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$").await;
    world.sql("CREATE TRIGGER no BEFORE DELETE ON login_session FOR EACH ROW EXECUTE FUNCTION no()").await;
    for kind in ["session", "used_message"] {
        lapsed(&world, kind, 10 * 24 * 3600).await;
    }
    let failed = FUNCTION.run(&world.app, &Occasion::new("retention-test", json!({}))).await;
    assert!(failed.is_err());
    assert_eq!(rows(&world, "used_message").await, 0);
    assert_eq!(verdict().await, "fail", "failed");
    world.sql("DROP TRIGGER no ON login_session").await;
    call(&world, json!({})).await;
    assert_eq!(verdict().await, "pass");
}

#[tokio::test]
async fn every_table_lapses_or_is_said_to_stay() {
    let world = World::new().await;
    let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition";
    let tables: BTreeSet<String> = world.sql(tables).await.iter().map(|row| row.get(0)).collect();
    let documented = text("docs/retention.md");
    let named: BTreeSet<String> = documented
        .lines()
        .filter(|line| line.starts_with("| "))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .filter(|name| tables.contains(name))
        .collect();
    assert_eq!(
        tables.difference(&named).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "docs/retention.md says nothing of"
    );
    for kind in KINDS {
        let hours = kind.kept.as_hours();
        let kept = if hours % 24 == 0 { format!("{} d", hours / 24) } else { format!("{hours} h") };
        let (_, table, _) = ROWS.iter().find(|(name, ..)| *name == kind.name).expect(kind.name);
        let row = documented
            .lines()
            .find(|line| line.starts_with(&format!("| `{table}`")) && line.contains(&format!("| `{}` |", kind.name)));
        let row = row.unwrap_or_else(|| panic!("docs/retention.md has no row of {}", kind.name));
        assert!(row.contains(&format!("| {kept} |")) && row.contains(kind.why), "{row}: {kept}, {}", kind.why);
    }
}

#[tokio::test]
async fn indexes_that_no_migration_can_make_are_made_beside_writers() {
    let world = World::new().await;
    let valid = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname LIKE '%\\_grant' AND i.indisvalid
                    AND c.relname IN ('access_token_grant', 'refresh_token_grant', 'oauth_code_grant')";
    assert_eq!(world.count(valid).await, 3);
    world.sql("DROP INDEX access_token_grant").await;
    // As one is left that was interrupted.
    world.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'refresh_token_grant'::regclass").await;
    assert_eq!(world.count(valid).await, 1);
    store::migrate(&world.owner_config()).await.expect("migrated");
    assert_eq!(world.count(valid).await, 3);
}
