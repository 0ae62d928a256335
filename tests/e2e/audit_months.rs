//! The audit is kept by months: the parts of the coming ones are made ahead, none of them can be changed, and an event whose
//! month has no part is not lost.

use crate::template::{names, text};
use end_to_end::{World, ledger::failure};
use runtime::Occasion;
use serde_json::{Value, json};
use tokio_postgres::{Client, error::SqlState};

const PARTS: &str = "SELECT relid::regclass::text FROM pg_partition_tree('audit_event') WHERE isleaf
                      UNION SELECT relid::regclass::text FROM pg_partition_tree('audit_change') WHERE isleaf ORDER BY 1";

/// Makes the audit one that has been left to itself since its last month: what is to come has no part.
const NEGLECTED: &str = "
DO $$
DECLARE part regclass; parent text;
BEGIN
  FOREACH parent IN ARRAY ARRAY['audit_event', 'audit_change'] LOOP
    FOR part IN SELECT relid FROM pg_partition_tree(parent::regclass) WHERE isleaf AND relid::regclass::text ~ '_[0-9]{4}_[0-9]{2}$' LOOP
      EXECUTE format('DROP TABLE %s', part);
    END LOOP;
    EXECUTE format('ALTER TABLE %1$s DETACH PARTITION %1$s_rest', parent);
    EXECUTE format('ALTER TABLE %1$s ATTACH PARTITION %1$s_rest FOR VALUES FROM (%2$L) TO (MAXVALUE)', parent,
                   date_trunc('month', clock_timestamp(), 'UTC') + interval '1 month');
  END LOOP;
END $$";

/// What the scheduled function reports.
async fn call(world: &World) -> Value {
    let occasion = Occasion::new("scheduled", json!({}));
    audit_partitions::FUNCTION.run(&world.app, &occasion).await.expect("parts")
}

async fn parts(client: &Client) -> Vec<String> {
    client.query(PARTS, &[]).await.expect("parts").iter().map(|row| row.get(0)).collect()
}

/// Writes an event of a time, as its owner: as if the clock had come that far.
async fn event_in(client: &Client, months: i32) -> i64 {
    let insert = format!(
        "INSERT INTO audit_event (occurred_at, request_id, actor_type, action, resource_type, organization_ids, study_ids, patient_ids,
                                  observation_ids, outcome, privileged)
         VALUES (clock_timestamp() + interval '{months} months', 'later', 'system', 'read', 'Observation', '{{}}', '{{}}', '{{}}', '{{}}',
                 'allowed', false) RETURNING id"
    );
    client.query_one(&insert, &[]).await.expect("an event").get(0)
}

async fn place(client: &Client, event: i64) -> (u32, String) {
    let ask = "SELECT tableoid, tableoid::regclass::text FROM audit_event WHERE id = $1";
    let row = client.query_one(ask, &[&event]).await.expect("the event");
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn the_parts_of_the_coming_months_are_made_ahead_once_and_that_is_recorded() {
    let world = World::new().await;
    let owner = world.as_owner().await;
    let ahead = parts(&owner).await;
    assert_eq!(call(&world).await["made"], 0, "the migration has made them");
    owner.batch_execute(NEGLECTED).await.expect("no part is left");
    assert_eq!(parts(&owner).await.len(), 4);
    let end = world.audit_end().await;
    let report = call(&world).await;
    assert_eq!(report["made"], 3, "{report}");
    assert_eq!(parts(&owner).await, ahead);
    let event = world.audit_after(end).await.pop().expect("an event");
    assert_eq!(
        (event.actor_type.as_str(), event.action.as_str(), event.resource_type.as_str(), event.request_id.as_str()),
        ("system", "create", "AuditPartition", "scheduled")
    );
    let end = world.audit_end().await;
    assert_eq!(call(&world).await, json!({ "made": 0, "until": report["until"] }));
    assert_eq!(world.audit_end().await, end, "where nothing is done nothing is recorded");
    for (months, of) in [(0, "first"), (1, "_20"), (3, "_20"), (4, "rest"), (60, "rest"), (-60, "first")] {
        let event = event_in(&owner, months).await;
        let (_, name) = place(&owner, event).await;
        assert!(name.contains(of), "{months}: {name}");
    }
}

#[tokio::test]
async fn an_event_whose_month_has_no_part_is_kept_and_never_moved() {
    let world = World::new().await;
    let owner = world.as_owner().await;
    owner.batch_execute(NEGLECTED).await.expect("no part is left");
    let events = [event_in(&owner, 1).await, event_in(&owner, 2).await];
    let before = place(&owner, events[0]).await;
    assert_eq!(before.1, "audit_event_rest");
    let report = call(&world).await;
    assert!(report["made"].as_i64() > Some(1), "{report}");
    for event in events {
        let after = place(&owner, event).await;
        assert_eq!(after.0, before.0, "the table is the same");
        assert_ne!(after.1, before.1, "and has the name of its month");
    }
    let rest = owner.query_one("SELECT count(*) FROM audit_event_rest", &[]).await.expect("a count");
    assert_eq!(rest.get::<_, i64>(0), 0);
    assert_eq!(call(&world).await["made"], 0);
    // Requests are recorded as before.
    assert_eq!(world.get("viewer_victor", "/FHIR/R5/Observation?patient=40001").await.0, 200);
    unchangeable(&world, &owner).await;
}

/// No part of the audit can be changed by anybody, nor be touched by the functions.
async fn unchangeable(world: &World, owner: &Client) {
    let functions = world.as_function().await;
    for part in parts(owner).await {
        owner.batch_execute("BEGIN").await.expect("a transaction");
        for statement in [
            format!("UPDATE {part} SET occurred_at = occurred_at"),
            format!("DELETE FROM {part}"),
            format!("TRUNCATE {part}"),
        ] {
            assert_eq!(failure(&functions, &statement).await, Some(SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
            let rows = owner.query_one(&format!("SELECT count(*) FROM {part}"), &[]).await.expect("a count");
            if rows.get::<_, i64>(0) > 0 || statement.starts_with("TRUNCATE") {
                owner.batch_execute("SAVEPOINT s").await.expect("a savepoint");
                assert_eq!(failure(owner, &statement).await, Some(SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
                owner.batch_execute("ROLLBACK TO s").await.expect("back");
            }
        }
        for statement in [format!("SELECT FROM {part}"), format!("DROP TABLE {part}")] {
            assert_eq!(failure(&functions, &statement).await, Some(SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
        }
        owner.batch_execute("ROLLBACK").await.expect("back");
    }
}

#[tokio::test]
async fn no_part_can_be_changed_also_of_those_made_later() {
    let world = World::new().await;
    let owner = world.as_owner().await;
    let known = parts(&owner).await.len();
    owner.query_one("SELECT audit_make_parts(5)", &[]).await.expect("more parts");
    assert_eq!(parts(&owner).await.len(), known + 4);
    for months in 0..=7 {
        event_in(&owner, months).await;
    }
    world
        .sql("INSERT INTO audit_change (occurred_at, event_id, after) SELECT occurred_at, id, '{}' FROM audit_event")
        .await;
    unchangeable(&world, &owner).await;
}

#[tokio::test]
async fn the_functions_login_makes_parts_only_by_the_function_and_only_the_next_ones() {
    let world = World::new().await;
    let functions = world.as_function().await;
    for statement in
        ["SELECT audit_part('audit_event', '_x', '''2001-01-01''', 'MAXVALUE')", "SELECT nextval('audit_event_id')"]
    {
        assert_eq!(failure(&functions, statement).await, Some(SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
    }
    functions.batch_execute("SELECT audit_make_parts(100000)").await.expect("bounded");
    assert!(parts(&world.as_owner().await).await.len() < 60, "two years at most");
}

#[tokio::test]
async fn what_was_recorded_before_there_were_months_is_carried_over() {
    let world = World::new().await;
    let name = format!("{}_before", world.database);
    let server = world.owner_config();
    store::create_database(&server, &name).await.expect("a database");
    let config = store::DatabaseConfig { name: name.clone(), ..server.clone() };
    let client = store::connect_owner(&config).await.expect("a connection");
    let mut files: Vec<(u32, String)> = names("shared/store/migrations")
        .into_iter()
        .filter_map(|file| Some((file.strip_prefix('V')?.split("__").next()?.parse().ok()?, file)))
        .collect();
    files.sort();
    for (_, file) in files {
        if file.ends_with("__audit_by_month.sql") {
            client.batch_execute(BEFORE).await.expect("events");
        }
        client.batch_execute(&text(format!("shared/store/migrations/{file}"))).await.expect(&file);
    }
    let kept =
        "SELECT count(*), min(id), max(id), count(c.event_id), count(*) FILTER (WHERE c.after->>'n' = e.request_id)
                  FROM audit_event e LEFT JOIN audit_change c ON c.event_id = e.id AND c.occurred_at = e.occurred_at";
    let row = client.query_one(kept, &[]).await.expect("a count");
    let counts: Vec<i64> = (0..5).map(|column| row.get(column)).collect();
    assert_eq!(counts, [30, 1, 30, 10, 10]);
    client.batch_execute(&BEFORE.replace("1, 30", "31, 31")).await.expect("one more");
    let last = client.query_one("SELECT max(id) FROM audit_event WHERE request_id = '31'", &[]).await.expect("it");
    assert_eq!(last.get::<_, i64>(0), 31);
    assert_eq!(failure(&client, "DELETE FROM audit_change").await, Some(SqlState::INSUFFICIENT_PRIVILEGE));
    drop(client);
    store::drop_database(&server, &name).await.expect("dropped");
}

/// Events, every third with a change.
const BEFORE: &str = "
SELECT audit_record(jsonb_build_object('request_id', n::text, 'actor_type', 'system', 'action', 'create', 'resource_type', 'Setting'),
                    'allowed', NULL, '{}', '{}', '{}', '{}', NULL, NULL,
                    CASE WHEN n % 3 = 0 THEN jsonb_build_object('n', n::text) END)
  FROM generate_series(1, 30) n";
