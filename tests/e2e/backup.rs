//! Backups: what is in one comes back, and nobody reads one who may not.

use end_to_end::backups::{BackedUp, Empty, contents, contents_as_backed_up, files, occasion};
use runtime::Occasion;
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt as _};

/// Rows for several chunks: copies of an observation.
const MANY: &str = "
INSERT INTO observation (patient_id, scope_id, data_source_id, status, effective_start, effective_end, last_updated, payload)
SELECT o.patient_id, o.scope_id, o.data_source_id, o.status, o.effective_start + make_interval(secs => n), o.effective_end + make_interval(secs => n), o.last_updated,
       o.payload
  FROM (SELECT * FROM observation ORDER BY id LIMIT 1) o, generate_series(1, 16000) n";

#[tokio::test]
async fn what_is_restored_is_what_was_backed_up() {
    let kept = BackedUp::new().await;
    kept.world.as_owner().await.batch_execute(MANY).await.expect("rows");
    let before = contents(&kept.world.owner_config()).await;
    let id = kept.back_up().await;
    assert!(kept.path(&format!("backups/{id}/observation/000001")).exists(), "several chunks");

    let empty = Empty::new(&kept.world).await;
    let report = kept.restore(&id, &empty, &[]).await.expect("restored");
    assert_eq!((&report["outcome"], &report["later_migrations"]), (&json!("restored"), &json!(0)));
    assert_eq!(contents_as_backed_up(&empty.0).await, before);
    let (made, found) = (store::definitions(&kept.world.owner_config()).await, store::definitions(&empty.0).await);
    assert_eq!(found.expect("definitions"), made.expect("definitions"), "triggers, keys and rights");
    // Sequences go on where they were: what is stored next has a number of its own.
    let numbers = "SELECT last_value::text FROM pg_sequences WHERE sequencename NOT LIKE 'audit_event_id%'
                      AND sequencename NOT LIKE 'backup_run%' ORDER BY sequencename";
    let here: Vec<Option<String>> = kept.world.sql(numbers).await.iter().map(|row| row.get(0)).collect();
    let client = store::connect_owner(&empty.0).await.expect("the owner");
    let there: Vec<Option<String>> =
        client.query(numbers, &[]).await.expect("numbers").iter().map(|row| row.get(0)).collect();
    assert_eq!(there, here);
}

/// A hold or a decision may have come since that is not in the backup.
#[tokio::test]
async fn what_was_announced_before_a_backup_is_announced_anew_after_it_was_restored() {
    let kept = BackedUp::new().await;
    let announced = "INSERT INTO retention_plan (policies, noticed_at, delete_after, finished_at)
                     SELECT '[]', now() - interval '40 days', now() - interval '10 days', ended FROM unnest(ARRAY[NULL, now()]) AS e (ended)";
    kept.world.sql(announced).await;
    let id = kept.back_up().await;
    let empty = Empty::new(&kept.world).await;
    kept.restore(&id, &empty, &[]).await.expect("restored");
    let left = "SELECT round(extract(epoch FROM delete_after - now()) / 86400)::text || ' of ' || notice_days
                  FROM retention_plan CROSS JOIN retention_floor ORDER BY id";
    let left = empty.texts(left).await;
    let (open, ended) = (left[0].split_once(" of ").expect("days"), &left[1]);
    assert_eq!((open.0, ended.starts_with("-10 ")), (open.1, true), "{left:?}");
}

#[tokio::test]
async fn a_backup_is_of_one_moment_and_is_on_record() {
    let kept = BackedUp::new().await;
    let id = kept.back_up().await;
    let records =
        "SELECT count(*) FROM audit_event WHERE resource_type = 'Backup' AND action = 'create' AND outcome = 'allowed'
                      AND actor_type = 'system'";
    assert_eq!(kept.world.count(records).await, 1);
    let empty = Empty::new(&kept.world).await;
    kept.restore(&id, &empty, &[]).await.expect("restored");
    let restored = "SELECT request_id FROM audit_event WHERE resource_type = 'Backup'";
    assert_eq!(
        empty.texts(restored).await,
        ["backup-test"],
        "that it was restored, and not what came after the snapshot"
    );
}

#[tokio::test]
async fn a_schedule_that_calls_twice_a_day_makes_one_backup() {
    let kept = BackedUp::new().await;
    let call = async |input| {
        let report = backup_job::create_if_due(&kept.world.app, &Occasion::new("clock", input)).await;
        report.expect("a report")["outcome"].as_str().expect("an outcome").to_owned()
    };
    assert_eq!(call(json!({})).await, "made");
    assert_eq!(call(json!({})).await, "not due");
    assert_eq!(call(json!({ "now": true })).await, "made");
    kept.world.sql("UPDATE backup_run SET taken_at = taken_at - interval '23 hours'").await;
    assert_eq!(call(json!({})).await, "not due");
    kept.world.sql("UPDATE backup_run SET taken_at = taken_at - interval '40 minutes'").await;
    assert_eq!(call(json!({})).await, "made");
    let placeless = BackedUp::with(&[("BACKUP_TO", "")]).await;
    let report = backup_job::create_if_due(&placeless.world.app, &occasion()).await.expect("a report");
    assert_eq!(report["outcome"], "no place");
}

#[tokio::test]
async fn a_backup_elsewhere_is_not_the_one_of_the_day() {
    let kept = BackedUp::new().await;
    let (elsewhere, _) =
        kept.world.process_with(&[("BACKUP_TO", kept.path("elsewhere").to_str().expect("a path"))]).await;
    backup_job::create(&elsewhere, &occasion()).await.expect("a backup");
    let call =
        async || backup_job::create_if_due(&kept.world.app, &occasion()).await.expect("a report")["outcome"].clone();
    assert_eq!(call().await, "made");
    // Of a run of an earlier version nobody knows where it was: it counts.
    kept.world.sql("DELETE FROM backup_run WHERE report->>'place' LIKE '%backups'").await;
    kept.world.sql("UPDATE backup_run SET report = report - 'place'").await;
    assert_eq!(call().await, "not due");
}

#[tokio::test]
async fn a_backup_that_fails_is_on_record_and_made_again() {
    let kept = BackedUp::new().await;
    // In the way of the directory.
    fs::write(kept.path("backups"), "a file").expect("written");
    backup_job::create_if_due(&kept.world.app, &occasion()).await.expect_err("it fails");
    let runs =
        "SELECT count(*) FROM backup_run WHERE kind = 'backup' AND NOT succeeded AND report->>'why' LIKE '%backups%'
                   AND report->>'place' LIKE '%backups'";
    let events =
        "SELECT count(*) FROM audit_event WHERE resource_type = 'Backup' AND action = 'create' AND outcome = 'failed'";
    assert_eq!((kept.world.count(runs).await, kept.world.count(events).await), (1, 1));
    fs::remove_file(kept.path("backups")).expect("gone");
    let report = backup_job::create_if_due(&kept.world.app, &occasion()).await.expect("a report");
    assert_eq!(report["outcome"], "made");
}

#[tokio::test]
async fn nothing_of_a_backup_is_readable_and_only_its_owner_opens_the_files() {
    let kept = BackedUp::new().await;
    kept.back_up().await;
    let directory = kept.path("backups");
    let all = files(&directory);
    assert!(all.len() > 20, "{}", all.len());
    for (path, bytes) in &all {
        let mode = fs::metadata(path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o377, 0, "{}", path.display());
        // Peter's address is in several tables, and in none of the files.
        let found = bytes.windows(12).any(|window| window.eq_ignore_ascii_case(b"ll_patient_p"));
        assert!(!found, "{}", path.display());
    }
}

#[tokio::test]
async fn backups_are_kept_by_the_policy_and_what_was_never_finished_goes() {
    let kept = BackedUp::with(&[
        ("BACKUP_KEEP_DAYS", "1"),
        ("BACKUP_KEEP_WEEKS", "0"),
        ("BACKUP_KEEP_MONTHS", "0"),
        ("BACKUP_KEEP_YEARS", "1"),
    ])
    .await;
    let first = kept.back_up().await;
    let (_, random) = first.rsplit_once('-').expect("an id");
    let rename = |from: &str, to: &str| {
        fs::rename(kept.path("backups").join(from), kept.path("backups").join(to)).expect("renamed");
    };
    let old = format!("20200101T000000-000000Z-{random}");
    rename(&first, &old);
    let unfinished = format!("20200102T000000-000000Z-{random}");
    fs::create_dir_all(kept.path("backups").join(&unfinished).join("patient")).expect("a directory");
    fs::create_dir_all(kept.path("backups/not-ours")).expect("a directory");
    let second = kept.back_up().await;
    let third = kept.back_up().await;
    let names = || {
        let entries = fs::read_dir(kept.path("backups")).expect("backups");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
        names.sort();
        names
    };
    assert_eq!(names(), [third, "not-ours".to_owned()], "the last of the day; nothing of {old} and {second}");
}

#[tokio::test]
async fn a_login_for_backups_reads_everything_and_changes_nothing() {
    let kept = BackedUp::with(&[("DB_BACKUP_USER", "jhe_backup_test"), ("DB_BACKUP_PASSWORD", "for-backups")]).await;
    let password = "for-backups".to_owned().into();
    store::create_backup_login(&kept.world.owner_config(), "jhe_backup_test", &password).await.expect("a login");
    let login = kept.world.app.backup_login().expect("a login");
    assert_eq!(login.user, "jhe_backup_test");
    let client = store::connect_owner(&login).await.expect("connected");
    assert!(
        client.query("SELECT FROM patient", &[]).await.is_err(),
        "it is nothing until it says that it makes a backup"
    );
    client.batch_execute("SET ROLE jhe_backup").await.expect("its role");
    for statement in [
        "UPDATE patient SET name_given = 'X'",
        "DELETE FROM observation",
        "INSERT INTO setting (key, value_type) VALUES ('x', 'string')",
        "TRUNCATE audit_event",
        "CREATE TABLE x (id int)",
        "SELECT nextval('patient_id_seq')",
    ] {
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("42501"), "{statement}: {error:?}");
    }
    kept.back_up().await;
}

/// A database as an earlier version left it: by the migrations up to a number, with a person in it.
async fn earlier(kept: &BackedUp, version: i32) -> Empty {
    let old = Empty::new(&kept.world).await;
    let client = store::connect_owner(&old.0).await.expect("the owner");
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/store/migrations");
    let history = "CREATE TABLE refinery_schema_history (version int4 PRIMARY KEY, name varchar(255), applied_on varchar(255), checksum varchar(255))";
    client.batch_execute(history).await.expect("a history");
    for row in
        kept.world.sql("SELECT version, name, applied_on, checksum FROM refinery_schema_history ORDER BY version").await
    {
        let (number, name): (i32, String) = (row.get(0), row.get(1));
        if number <= version {
            let text = fs::read_to_string(directory.join(format!("V{number}__{name}.sql"))).expect("a migration");
            client.batch_execute(&text).await.expect("applied");
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                [&number, &name, &row.get::<_, String>(2), &row.get::<_, String>(3)];
            client
                .execute("INSERT INTO refinery_schema_history VALUES ($1, $2, $3, $4)", &values)
                .await
                .expect("remembered");
        }
    }
    let person = "INSERT INTO app_user (email, user_type) VALUES ('early@example.com', 'practitioner');
        GRANT USAGE ON SCHEMA public TO jhe_backup;
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO jhe_backup; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO jhe_backup";
    client.batch_execute(person).await.expect("a person");
    old
}

#[tokio::test]
async fn a_backup_of_an_earlier_version_is_brought_up_to_this_one() {
    let kept = BackedUp::new().await;
    let old = earlier(&kept, 20).await;
    let of_old = kept.world.over(&old.0.name);
    // It is complete; what cannot be done is to remember it, because the earlier version has no table for that.
    backup_job::create(&of_old, &occasion()).await.expect_err("no table to remember it");
    let archive = backup_job::Settings::of(&of_old).expect("settings").archive(&of_old).expect("a place");
    let id = backup_job::newest(&archive).await.expect("a list").expect("a backup");
    let empty = Empty::new(&kept.world).await;
    let report = kept.restore(&id, &empty, &[]).await.expect("restored");
    assert_eq!(report["schema_version"], 20);
    assert!(report["later_migrations"].as_u64().expect("a number") > 0, "{report}");
    let emails = "SELECT email FROM app_user WHERE email = 'early@example.com'";
    assert_eq!(empty.texts(emails).await, ["early@example.com"]);
    let (made, found) = (store::definitions(&kept.world.owner_config()).await, store::definitions(&empty.0).await);
    assert_eq!(found.expect("definitions"), made.expect("definitions"));
    assert_eq!(store::migrate(&empty.0).await.expect("migrated"), 0, "refinery finds nothing to do");
}
