//! Resources of FHIR Sources go by the policies of retention as observations do, with what they were before.

use crate::retention_policies::{call, policy, time_passes, world};
use end_to_end::World;
use serde_json::{Value, json};
use std::fmt::Write as _;
use tokio_postgres::error::SqlState;

/// Forms of a patient: four of more than a year ago, of which one was changed and one was deleted since, both long ago; one that was
/// deleted yesterday; and one of today.
const FORMS: &str = "
INSERT INTO fhir_source (patient_id, data_source_id, label, fhir_base_url) VALUES (49001, 70005, 'Forms', 'https://e.example');
INSERT INTO auxiliary (patient_id, scope_id, source_id, upstream_id, last_updated, content)
SELECT 49001, 50011, s.id, 'form-' || n, clock_timestamp() - CASE WHEN n < 6 THEN interval '400 days' ELSE interval '0' END, '{}'
  FROM fhir_source s, generate_series(1, 6) n WHERE s.patient_id = 49001;
UPDATE auxiliary SET version = 2 WHERE upstream_id = 'form-2';
DELETE FROM auxiliary WHERE upstream_id IN ('form-3', 'form-5');
ALTER TABLE auxiliary_version DISABLE TRIGGER auxiliary_version_immutable;
UPDATE auxiliary_version SET ended_at = clock_timestamp() - interval '390 days' WHERE upstream_id IN ('form-2', 'form-3');
ALTER TABLE auxiliary_version ENABLE TRIGGER auxiliary_version_immutable";

async fn left(world: &World) -> (i64, i64) {
    let of = async |table: &str| world.count(&format!("SELECT count(*) FROM {table} WHERE patient_id = 49001")).await;
    (of("auxiliary").await, of("auxiliary_version").await)
}

#[tokio::test]
async fn they_are_announced_deleted_with_their_versions_and_certified() {
    let world = world().await;
    world.as_owner().await.batch_execute(FORMS).await.expect("forms");
    assert_eq!(left(&world).await, (4, 3));
    // Versions of what is there, or was there of late, are deleted by nobody.
    for version in ["form-2", "form-5"] {
        let delete = format!("DELETE FROM auxiliary_version WHERE upstream_id = '{version}'");
        let error = world.as_owner().await.batch_execute(&delete).await.expect_err(version);
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{error:?}");
    }
    world.sql(&policy("NULL", "NULL", "NULL", "NULL", "365")).await;
    call(&world, json!({})).await;
    let (_, notices) = world.get("manager_mary", "/api/v1/organizations/29001/retention-notices").await;
    assert_eq!(notices["count"], 1, "of what was never given to a study managers are not told: {notices}");
    assert_eq!(left(&world).await, (4, 3), "announced first");
    time_passes(&world).await;
    call(&world, json!({})).await;
    assert_eq!(left(&world).await, (1, 1), "that of today, and the version of what was deleted yesterday");
    let shown = call(&world, json!({ "certificate": "1", "ids": true })).await;
    assert_eq!(shown["resourceIds"].as_array().map(Vec::len), Some(4), "{shown}");
    let text = shown["certificate"].as_str().expect("a text");
    let facts: Value = serde_json::from_str(text.split_once('\n').expect("a first line").1).expect("JSON");
    assert_eq!(
        (&facts["resources"], &facts["versions"], &facts["observations"]),
        (&json!(4), &json!(2), &json!(7)),
        "{facts}"
    );
    let recorded =
        "SELECT count(*) FROM audit_event WHERE resource_type = 'Retention' AND jsonb_array_length(detail->'ids') = 4";
    assert_eq!(world.count(recorded).await, 1);
}

#[tokio::test]
async fn a_hold_keeps_them() {
    let world = world().await;
    world.as_owner().await.batch_execute(FORMS).await.expect("forms");
    world.sql(&policy("NULL", "NULL", "NULL", "NULL", "365")).await;
    call(&world, json!({})).await;
    world
        .sql("INSERT INTO legal_hold (kind, patient_id, organization_id, reason, placed_by) SELECT 'patient', 49001, 29001, 'x', min(id) FROM app_user")
        .await;
    time_passes(&world).await;
    call(&world, json!({})).await;
    assert_eq!(left(&world).await, (4, 3));
}

/// Puts a resource that was changed at these times, in days ago, and deleted at the last one, if it was.
async fn put(world: &World, name: &str, stored: &[i32], deleted: Option<i32>) {
    let owner = world.as_owner().await;
    let mut statements = format!(
        "SET session_replication_role = replica;
         INSERT INTO auxiliary (id, patient_id, scope_id, source_id, upstream_id, version, last_updated, content)
         SELECT md5('{name}')::uuid, 49001, 50011, min(s.id), '{name}', {}, now() - interval '{} days', '{{}}'
           FROM fhir_source s WHERE s.patient_id = 49001;",
        stored.len(),
        stored.last().expect("stored once"),
    );
    let ends = stored.iter().skip(1).copied().map(Some).chain(std::iter::once(deleted));
    for (version, (stored, ended)) in stored.iter().zip(ends).enumerate() {
        let Some(ended) = ended else { continue };
        let _ = write!(
            statements,
            "INSERT INTO auxiliary_version (id, version, patient_id, scope_id, source_id, upstream_id, last_updated, content, ended_at, is_last)
             SELECT id, {}, patient_id, scope_id, source_id, upstream_id, now() - interval '{stored} days', '{{}}',
                    now() - interval '{ended} days', {} FROM auxiliary WHERE upstream_id = '{name}';",
            version + 1,
            deleted == Some(ended),
        );
    }
    if deleted.is_some() {
        let _ = write!(statements, "DELETE FROM auxiliary WHERE upstream_id = '{name}';");
    }
    owner.batch_execute(&statements).await.expect("a resource");
}

/// A resource, as it is called.
async fn is_left(world: &World, name: &str) -> (i64, i64) {
    let of =
        async |table: &str| world.count(&format!("SELECT count(*) FROM {table} WHERE upstream_id = '{name}'")).await;
    (of("auxiliary").await, of("auxiliary_version").await)
}

/// A resource: its name, when it was stored, when it was deleted, in days ago, and what is left of it and of its versions.
type Case = (&'static str, &'static [i32], Option<i32>, (i64, i64));

#[tokio::test]
async fn a_resource_goes_with_all_its_versions_when_its_own_time_is_over_and_not_before() {
    let world = world().await;
    world.as_owner().await.batch_execute(FORMS).await.expect("forms");
    let cases: [Case; 7] = [
        ("long ago", &[800, 500], None, (0, 0)),
        ("of late", &[800, 500, 100], None, (1, 2)),
        ("deleted long ago", &[800, 500], Some(400), (0, 0)),
        ("deleted of late", &[800], Some(50), (0, 1)),
        ("changed long ago and deleted of late", &[800, 500], Some(1), (0, 2)),
        ("changed of late and deleted of late", &[800, 500, 100], Some(50), (0, 3)),
        ("nobody knows when it was deleted", &[900, 700], Some(500), (0, 0)),
    ];
    for (name, stored, deleted, _) in cases {
        put(&world, name, stored, deleted).await;
    }
    let owner = world.as_owner().await;
    let unknown = "SET session_replication_role = replica;
                   UPDATE auxiliary_version SET is_last = NULL WHERE upstream_id LIKE 'nobody%' OR upstream_id LIKE 'changed long%'";
    owner.batch_execute(unknown).await.expect("as before this was kept");
    world.sql(&policy("NULL", "NULL", "NULL", "NULL", "365")).await;
    call(&world, json!({})).await;
    let found = world.count("SELECT sum(observations)::int8 FROM retention_lane").await;
    time_passes(&world).await;
    let done = call(&world, json!({})).await;
    for (name, _, _, left) in cases {
        assert_eq!(is_left(&world, name).await, left, "{name}");
    }
    assert_eq!(done["of"], json!({ "observation": 7, "resource": 7 }), "{done}");
    assert_eq!(found, 14, "as many as were announced");
    assert_eq!(done["certified"], json!([1]), "all that was announced is done");
}

/// Two hundred and fifty resources, each stored three times; every other was deleted. All long ago.
const MANY: &str = "
SET session_replication_role = replica;
INSERT INTO auxiliary (patient_id, scope_id, source_id, upstream_id, version, last_updated, content)
SELECT 49001, 50011, s.id, 'many-' || n, 3, now() - interval '400 days', '{}' FROM fhir_source s, generate_series(1, 250) n WHERE s.patient_id = 49001;
INSERT INTO auxiliary_version (id, version, patient_id, scope_id, source_id, upstream_id, last_updated, content, ended_at, is_last)
SELECT x.id, v, x.patient_id, x.scope_id, x.source_id, x.upstream_id, now() - interval '500 days', '{}', now() - interval '400 days', v = 3
  FROM auxiliary x, generate_series(1, 3) v WHERE x.upstream_id LIKE 'many-%' AND (v < 3 OR right(x.upstream_id, 1)::int % 2 = 0);
DELETE FROM auxiliary WHERE upstream_id LIKE 'many-%' AND right(upstream_id, 1)::int % 2 = 0";

#[tokio::test]
async fn batches_are_of_rows_whatever_they_are_of_and_nothing_that_was_announced_is_left() {
    let world = world().await;
    let owner = world.as_owner().await;
    owner.batch_execute(FORMS).await.expect("forms");
    owner.batch_execute(MANY).await.expect("many");
    put(&world, "often", &(0..1000).map(|n| 2000 - n).collect::<Vec<_>>(), None).await;
    world.sql(&policy("NULL", "NULL", "NULL", "NULL", "365")).await;
    call(&world, json!({})).await;
    time_passes(&world).await;
    let done = call(&world, json!({})).await;
    assert_eq!((&done["of"]["resource"], &done["certified"]), (&json!(255), &json!([1])), "{done}");
    let largest = "SELECT max(versions + cardinality(observation_ids))::int8 FROM retention_batch";
    assert_eq!(world.count(largest).await, 200);
    assert_eq!(left(&world).await, (1, 1));
}
