//! The restore drill: the newest backup is tried in a database of its own, and what was seen is remembered.

use end_to_end::{
    backups::{BackedUp, Empty, occasion},
    sealed::{seal_all, tamper},
};
use runtime::{Failure, Occasion};
use serde_json::{Value, json};
use std::fs;
use store::DatabaseConfig;

/// What is remembered of drills: whether each succeeded, from the first.
async fn drills(kept: &BackedUp) -> Vec<bool> {
    let rows = kept.world.sql("SELECT succeeded FROM backup_run WHERE kind = 'drill' ORDER BY id").await;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Databases beside the world's.
async fn left_over(kept: &BackedUp) -> i64 {
    kept.world.count(&format!("SELECT count(*) FROM pg_database WHERE datname = '{}_drill'", kept.world.database)).await
}

async fn call(kept: &BackedUp, input: Value) -> Result<Value, Failure> {
    backup_job::drill_if_due(&kept.world.app, &Occasion::new("clock", input)).await.map_err(Failure::from)
}

#[tokio::test]
async fn the_newest_backup_is_restored_compared_tried_and_dropped() {
    let kept = BackedUp::new().await;
    // Somebody whom consent hides.
    kept.world.decide("ll_patient_peter", 40001, 30001, "omh:heart-rate:2.0", false).await;
    kept.back_up().await;
    let newest = kept.back_up().await;
    let report = backup_job::drill(&kept.world.app, &occasion()).await.expect("a drill");
    assert_eq!((&report["outcome"], &report["backup"]), (&json!("passed"), &json!(newest)));
    assert!(
        report["rpo_seconds"].as_f64().expect("seconds") > 0.0
            && report["rto_seconds"].as_f64().expect("seconds") > 0.0
    );
    let tried = |name: &str| report["access"][name].as_u64().expect("a number");
    assert!(tried("seen") > 0 && tried("hidden") > 0 && tried("strangers") > 0, "{report}");
    assert_eq!((drills(&kept).await, left_over(&kept).await), (vec![true], 0));
    let records = "SELECT count(*) FROM audit_event WHERE resource_type = 'Backup' AND action = 'execute' AND outcome = 'allowed'";
    assert_eq!(kept.world.count(records).await, 1, "the restoration itself is on record in what was dropped");
}

#[tokio::test]
async fn a_drill_of_a_broken_backup_fails_and_is_tried_again() {
    let kept = BackedUp::new().await;
    let id = kept.back_up().await;
    let chunk = kept.path("backups").join(&id).join("patient/000000");
    let whole = fs::read(&chunk).expect("a chunk");
    fs::remove_file(&chunk).expect("gone");
    let failure = call(&kept, json!({})).await.expect_err("it fails");
    assert!(failure.detail().contains("chunk 0 of patient is missing"), "{}", failure.detail());
    assert_eq!((drills(&kept).await, left_over(&kept).await), (vec![false], 0));
    let records =
        "SELECT count(*) FROM audit_event WHERE resource_type = 'Backup' AND action = 'execute' AND outcome = 'failed'";
    assert_eq!(kept.world.count(records).await, 1);
    fs::write(&chunk, whole).expect("back");
    // Not by each call: it restores the whole database.
    assert_eq!(call(&kept, json!({})).await.expect("a report")["outcome"], "not due");
    kept.world.sql("UPDATE backup_run SET ended_at = ended_at - interval '20 hours' WHERE kind = 'drill'").await;
    assert_eq!(call(&kept, json!({})).await.expect("a drill")["outcome"], "passed");
    assert_eq!(call(&kept, json!({})).await.expect("a drill")["outcome"], "not due");
    assert_eq!(call(&kept, json!({ "now": true })).await.expect("a drill")["outcome"], "passed");
    assert_eq!(drills(&kept).await, [false, true, true]);
}

/// The database that drills of this world would make, gone with the value.
fn of_drills(kept: &BackedUp) -> Empty {
    let owner = kept.world.owner_config();
    Empty(DatabaseConfig { name: format!("{}_drill", owner.name), ..owner })
}

#[tokio::test]
async fn what_no_drill_made_is_left_alone_and_the_drill_fails_in_words() {
    let kept = BackedUp::new().await;
    let (owner, theirs) = (kept.world.owner_config(), of_drills(&kept));
    let name = &theirs.0.name;
    store::create_database(&owner, name).await.expect("a database");
    theirs.texts("CREATE TABLE precious (of_somebody text)").await;
    // No drill begins: there is no backup.
    call(&kept, json!({ "now": true })).await.expect_err("it fails");
    assert!(theirs.texts("SELECT of_somebody FROM precious").await.is_empty());
    kept.back_up().await;
    let failure = call(&kept, json!({ "now": true })).await.expect_err("it fails");
    let words = format!("there is a database {name} that no drill made, and it is not empty");
    assert!(failure.detail().contains(&words) && failure.detail().contains("rename it"), "{}", failure.detail());
    assert!(theirs.texts("SELECT of_somebody FROM precious").await.is_empty(), "it is there");
    assert_eq!(drills(&kept).await, [false, false]);
    // It is no table alone that makes it somebody's.
    for thing in [
        "CREATE SCHEMA theirs",
        "CREATE FUNCTION public.theirs() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT lo_create(0)::text",
    ] {
        store::drop_database(&owner, name).await.expect("dropped");
        store::create_database(&owner, name).await.expect("a database");
        theirs.texts(thing).await;
        call(&kept, json!({ "now": true })).await.expect_err(thing);
        assert_eq!(left_over(&kept).await, 1, "{thing}");
    }
    // Somebody wrote about it: no drill was cut off there.
    store::drop_database(&owner, name).await.expect("dropped");
    store::create_database(&owner, name).await.expect("a database");
    kept.world.as_owner().await.batch_execute(&format!("COMMENT ON DATABASE {name} IS 'mine'")).await.expect("said");
    call(&kept, json!({ "now": true })).await.expect_err("it fails");
    assert_eq!(left_over(&kept).await, 1);
}

#[tokio::test]
async fn what_a_drill_left_that_was_cut_off_goes() {
    let kept = BackedUp::new().await;
    let (owner, left) = (kept.world.owner_config(), of_drills(&kept));
    kept.back_up().await;
    // Cut off before it was marked, and afterwards.
    store::create_empty_database(&owner, &left.0.name).await.expect("a database");
    assert_eq!(call(&kept, json!({ "now": true })).await.expect("a drill")["outcome"], "passed");
    assert_eq!(left_over(&kept).await, 0);
    assert!(store::create_drill_database(&owner, &left.0.name).await.expect("a database"));
    left.texts("CREATE TABLE half (of_it text)").await;
    assert_eq!(call(&kept, json!({ "now": true })).await.expect("a drill")["outcome"], "passed");
    assert_eq!((drills(&kept).await, left_over(&kept).await), (vec![true, true], 0));
}

/// The ages that the monitor says, of the last backup and of the last drill.
async fn ages(kept: &BackedUp) -> [Option<i64>; 2] {
    let report = security_monitor::FUNCTION.run(&kept.world.app, &occasion()).await.expect("a report");
    ["backup_age_seconds", "drill_age_seconds"].map(|name| report[name].as_i64())
}

#[tokio::test]
async fn the_monitor_says_how_old_the_last_drill_is_if_it_passed() {
    let kept = BackedUp::new().await;
    assert_eq!(ages(&kept).await, [None, None]);
    let id = kept.back_up().await;
    assert!(matches!(ages(&kept).await, [Some(0..600), None]));
    backup_job::drill(&kept.world.app, &occasion()).await.expect("a drill");
    kept.world.sql("UPDATE backup_run SET ended_at = ended_at - interval '9 days' WHERE kind = 'drill'").await;
    assert!(matches!(ages(&kept).await, [Some(0..600), Some(777_600..778_200)]), "{:?}", ages(&kept).await);
    fs::remove_file(kept.path("backups").join(id).join("patient/000000")).expect("gone");
    call(&kept, json!({ "now": true })).await.expect_err("it fails");
    assert!(matches!(ages(&kept).await, [Some(0..600), None]));
}

#[tokio::test]
async fn a_drill_without_a_backup_fails_but_for_the_clocks_on_a_new_host() {
    let kept = BackedUp::new().await;
    assert_eq!(call(&kept, json!({})).await.expect("a report")["outcome"], "no backup yet");
    assert!(drills(&kept).await.is_empty());
    let failure = call(&kept, json!({ "now": true })).await.expect_err("it fails");
    assert!(failure.detail().contains("there is no complete backup"), "{}", failure.detail());
    let records =
        "SELECT count(*) FROM audit_event WHERE resource_type = 'Backup' AND action = 'execute' AND outcome = 'failed'";
    assert_eq!((drills(&kept).await, kept.world.count(records).await), (vec![false], 1));
    // One was made, and is gone: that is no new host.
    let id = kept.back_up().await;
    fs::remove_dir_all(kept.path("backups").join(id)).expect("gone");
    kept.world.sql("DELETE FROM backup_run WHERE kind = 'drill'").await;
    call(&kept, json!({})).await.expect_err("it fails");
}

#[tokio::test]
async fn a_drill_of_a_copy_elsewhere_says_nothing_of_the_place_of_backups() {
    let kept = BackedUp::new().await;
    let place = kept.path("elsewhere").display().to_string();
    let (elsewhere, _) = kept.world.process_with(&[("BACKUP_TO", &place)]).await;
    backup_job::create(&elsewhere, &occasion()).await.expect("a backup");
    backup_job::drill(&elsewhere, &occasion()).await.expect("a drill");
    assert_eq!(ages(&kept).await, [None, None]);
    let of_elsewhere = security_monitor::FUNCTION.run(&elsewhere, &occasion()).await.expect("a report");
    assert!(of_elsewhere["drill_age_seconds"].is_i64(), "{of_elsewhere}");
    kept.back_up().await;
    assert_eq!(call(&kept, json!({})).await.expect("a drill")["outcome"], "passed");
    assert!(matches!(ages(&kept).await, [Some(0..600), Some(0..600)]));
}

#[tokio::test]
async fn strangers_are_in_no_organization_of_the_patients() {
    let kept = BackedUp::new().await;
    let cases = store::access_cases(&kept.world.owner_config(), 50).await.expect("cases");
    let strangers: Vec<_> = cases.iter().filter(|case| case.is_stranger).collect();
    assert!(!strangers.is_empty() && strangers.iter().all(|case| !case.is_consented), "{cases:?}");
    for case in &cases {
        let shared = format!(
            "SELECT count(*) FROM organization_member m JOIN patient_organization o ON o.organization_id = m.organization_id
              WHERE m.practitioner_id = {} AND o.patient_id = {}",
            case.practitioner, case.patient
        );
        assert_eq!(kept.world.count(&shared).await == 0, case.is_stranger, "{case:?}");
    }
}

#[tokio::test]
async fn a_restored_world_that_shows_what_is_not_consented_to_fails_the_drill() {
    for (harm, words) in [
        // What is derived from the ledger says more, or less, than the ledger.
        ("UPDATE consent_current SET may_search = true, may_read = true", "finds without consent"),
        ("UPDATE consent_current SET may_search = false", "does not find"),
    ] {
        let kept = BackedUp::new().await;
        // Decided, and not granted: a scope of which there is data.
        kept.world.decide("ll_patient_peter", 40001, 30001, "omh:heart-rate:2.0", false).await;
        kept.world.as_owner().await.batch_execute(harm).await.expect("done");
        kept.back_up().await;
        let error = backup_job::drill(&kept.world.app, &occasion()).await.expect_err("it fails");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn the_audit_of_a_restored_world_is_compared_with_its_seals() {
    let kept = BackedUp::new().await;
    let sealed = seal_all(&kept.world).await.expect("sealed");
    kept.back_up().await;
    // What is sealed afterwards is not in the backup.
    assert_eq!(seal_all(&kept.world).await.expect("sealed")["last"]["sequence"], 2);
    let report = backup_job::drill(&kept.world.app, &occasion()).await.expect("a drill");
    assert_eq!(report["audit"], json!({ "seals": 1, "events": sealed["events"] }));

    let event = kept.world.count("SELECT min(id) FROM audit_event").await;
    tamper(&kept.world, &format!("UPDATE audit_event SET request_id = 'another' WHERE id = {event}")).await;
    kept.back_up().await;
    let error = backup_job::drill(&kept.world.app, &occasion()).await.expect_err("it fails");
    let words = format!("not as it was sealed:\n- seal 1: event {event}: it was changed after the seal");
    assert!(error.to_string().contains(&words), "{error}");
}

#[tokio::test]
async fn a_drill_that_cannot_see_the_seals_fails() {
    let kept = BackedUp::new().await;
    seal_all(&kept.world).await.expect("sealed");
    kept.back_up().await;
    fs::rename(kept.path("seals"), kept.path("elsewhere")).expect("moved");
    let error = backup_job::drill(&kept.world.app, &occasion()).await.expect_err("it fails");
    assert!(error.to_string().contains("it is missing outside of the database"), "{error}");
}
