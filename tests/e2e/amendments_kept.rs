//! What erases, deletes by policy, backs up and encrypts has every version of an Observation.

use crate::retention_policies::{policy, time_passes, world as retained};
use end_to_end::{
    World,
    amending::{WHY, amend_well, amended, correct, path, upload, versions},
    backups::{BackedUp, Empty, contents, contents_as_backed_up},
    vault::OwnVault,
};
use reqwest::StatusCode;
use runtime::Occasion;
use serde_json::{Value, json};
use std::time::Duration;
use store::{Encrypted, HistoryQuery, Reader};

const PETER: &str = "ll_patient_peter";
const OWN: &str = "/api/v1/patients/me/erasure";

/// The versions that a store has of an Observation, as a super admin reads them: numbers and contents.
async fn stored(app: &runtime::App, id: &str) -> Option<Vec<(i32, String)>> {
    let context = Occasion::new("read", Value::Null).audit(audit::Action::Read, "Observation");
    let query = HistoryQuery { id: id.parse().expect("a number"), version: None, before: None, count: 100 };
    let store = app.store().await.expect("a store");
    let read = store.observation_history(&context, Reader::Privileged, &query).await.expect("an answer");
    read.ok().map(|history| history.rows.into_iter().map(|one| (one.version, one.content)).collect())
}

#[tokio::test]
async fn who_is_erased_leaves_no_version_behind_and_a_backup_of_before_opens_none() {
    let vault = OwnVault::new().await;
    let place = vault.place();
    let kept = BackedUp::with(&[("PAYLOAD_KEYS", &place), ("PAYLOAD_KEY_CACHE_SECONDS", "0")]).await;
    let world = &kept.world;
    let id = upload(world, PETER, 60, "").await;
    amend_well(world, PETER, 1, &amended(&id, "corrected", 61, "")).await;
    correct(world, PETER, "60001").await;
    assert_eq!(world.count("SELECT count(*) FROM observation_version WHERE patient_id = 40001").await, 2);
    let backup = kept.back_up().await;
    let (_, told) = world.get(PETER, OWN).await;
    let (status, _) = world.post(PETER, OWN, &json!({ "confirmation": told["confirmation"] })).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    for asked in [path(&id), format!("{}/_history", path(&id)), format!("{}/_history/1", path(&id))] {
        assert_eq!(world.get("viewer_victor", &asked).await.0, StatusCode::NOT_FOUND, "{asked}");
        assert_eq!(world.get(PETER, &asked).await.0, StatusCode::UNAUTHORIZED, "{asked}");
    }
    let erase = async |app: &runtime::App| {
        erasure::FUNCTION.run(app, &Occasion::new("erasure-test", Value::Null)).await.expect("a report")
    };
    assert_eq!(erase(&world.app).await["erased"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.count("SELECT count(*) FROM observation_version").await, 0);
    assert_eq!(stored(&world.app, &id).await, None);

    let empty = Empty::new(world).await;
    kept.restore(&backup, &empty, &[]).await.expect("restored");
    let left = "SELECT count(*)::text FROM observation_version";
    assert_eq!(empty.texts(left).await, ["2"], "the backup is of before");
    let restored = world.over(&empty.0.name);
    assert_eq!(stored(&restored, &id).await, None, "no version opens");
    assert_eq!(erase(&restored).await["again"], 1);
    assert_eq!(empty.texts(left).await, ["0"]);
}

#[tokio::test]
async fn what_a_policy_deletes_goes_with_its_versions_and_its_time_counts_from_the_newest() {
    let world = retained().await;
    for id in [900_008, 900_009, 900_010] {
        world
            .sql(&format!(
                "SELECT amend_observation(o.id, 1, 'corrected', o.effective_start, o.effective_end, '\\x01', '\\x02')
                   FROM observation o WHERE o.id = {id}"
            ))
            .await;
    }
    // Two were amended long ago.
    for (table, id) in [("observation", "id"), ("study_observation", "observation_id")] {
        world
            .sql(&format!(
                "UPDATE {table} SET last_updated = last_updated - interval '700 days' WHERE {id} IN (900008, 900009)"
            ))
            .await;
    }
    let of = |id: i64| format!("SELECT count(*) FROM observation_version WHERE observation_id = {id}");
    world.sql(&policy("29001", "NULL", "NULL", "NULL", "365")).await;
    let call = async || {
        retention::FUNCTION.run(&world.app, &Occasion::new("retention-test", json!({}))).await.expect("a report")
    };
    assert_eq!(call().await["announced"], 1);
    assert_eq!(world.count(&of(900_009)).await, 1, "announced is not deleted");
    time_passes(&world).await;
    let done = call().await;
    // Seven are older than a year; one of them was put right today.
    assert_eq!(done["of"]["observation"], 6, "{done}");
    for (id, expected) in [(900_008, 0), (900_009, 0), (900_010, 1)] {
        let left = world.count(&format!("SELECT count(*) FROM observation WHERE id = {id}")).await;
        assert_eq!((left, world.count(&of(id)).await), (expected, expected), "{id}");
    }
    let orphans = "SELECT count(*) FROM study_observation f WHERE NOT EXISTS (SELECT FROM observation o WHERE o.id = f.observation_id)";
    assert_eq!(world.count(orphans).await, 0);
}

#[tokio::test]
async fn a_backup_has_every_version_and_what_is_restored_reads_the_same() {
    let kept = BackedUp::new().await;
    let id = upload(&kept.world, PETER, 60, "").await;
    for version in 1..3 {
        amend_well(&kept.world, PETER, version, &amended(&id, "amended", 60 + version, "")).await;
    }
    let before = contents(&kept.world.owner_config()).await;
    let read = stored(&kept.world.app, &id).await.expect("versions");
    assert_eq!(read.iter().map(|(version, _)| *version).collect::<Vec<_>>(), [3, 2, 1]);
    // The reading is on record, and not in the backup's contents that are compared.
    let backup = kept.back_up().await;
    let empty = Empty::new(&kept.world).await;
    kept.restore(&backup, &empty, &[]).await.expect("restored");
    let after = contents_as_backed_up(&empty.0).await;
    assert_eq!(after["observation_version"], before["observation_version"]);
    assert_eq!(after["observation"], before["observation"]);
    assert_eq!(stored(&kept.world.over(&empty.0.name), &id).await, Some(read));
    // And is held there as here.
    let owner = store::connect_owner(&empty.0).await.expect("the owner");
    assert!(owner.batch_execute("UPDATE observation_version SET status = 'final'").await.is_err());
    assert!(owner.batch_execute("DELETE FROM observation_version").await.is_err());
}

/// Rows as the version before stored them: of these some are amended before the clock encrypts them, and some after.
#[tokio::test]
async fn what_was_in_the_clear_is_encrypted_with_its_versions_whatever_comes_first() {
    let world = World::new().await;
    let mut first = Vec::new();
    for beats in [60, 70] {
        let id = upload(&world, PETER, beats, "").await;
        let (_, resource) = world.get(PETER, &path(&id)).await;
        let mut content = resource.clone();
        for member in ["resourceType", "id", "meta"] {
            content.as_object_mut().expect("an object").remove(member);
        }
        content["note"] = json!([{ "text": "unmistakable" }]);
        let mut expected = resource;
        expected["note"] = content["note"].clone();
        let number: i64 = id.parse().expect("a number");
        world
            .as_owner()
            .await
            .execute(
                "UPDATE observation SET payload = NULL, content = $2 WHERE id = $1",
                &[&number, &content.to_string()],
            )
            .await
            .expect("written");
        first.push((id, expected));
    }
    assert_eq!(world.rows_with("unmistakable").await, 2);
    amend_well(&world, PETER, 1, &amended(&first[0].0, "corrected", 61, "")).await;
    assert_eq!(world.rows_with("unmistakable").await, 1, "who amends encrypts what was");
    let ran = world.app.encrypt_payloads(&world.owner_config(), Duration::ZERO, Duration::from_mins(1)).await;
    assert_eq!(ran.expect("run"), Some(Encrypted { rows: 1, is_complete: true }));
    assert_eq!(world.rows_with("unmistakable").await, 0);
    amend_well(&world, PETER, 1, &amended(&first[1].0, "corrected", 71, "")).await;
    for (id, expected) in &first {
        let (_, version) = world.get(PETER, &format!("{}/_history/1", path(id))).await;
        assert_eq!(version, *expected);
        let (_, history) = world.get(PETER, &format!("{}/_history", path(id))).await;
        assert_eq!(versions(&history).len(), 2);
    }
    // No version is ever kept in the clear, whoever writes it.
    let clear = "SELECT count(*) FROM information_schema.columns
                  WHERE table_name = 'observation_version' AND (column_name = 'content' OR column_name = 'payload' AND is_nullable = 'YES')";
    assert_eq!(world.count(clear).await, 0);
    assert_eq!(world.rows_with(WHY).await, 2, "the reasons are in the audit alone");
}
