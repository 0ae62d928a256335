//! Resources of FHIR Sources go by the policies of retention as observations do, with what they were before.

use crate::retention_policies::{call, policy, time_passes, world};
use end_to_end::World;
use serde_json::{Value, json};
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
    assert_eq!(facts["resources"], 4, "{facts}");
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
