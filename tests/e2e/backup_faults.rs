//! Backups and restorations that are killed: the state afterwards is one of two, and doing it again is as if nothing had been.

use end_to_end::{
    backups::{BackedUp, Empty, contents, contents_as_backed_up},
    interrupted::{Interrupted, Points},
    proxy::Direction,
};
use std::fs;

/// A way to the database of what is backed up, on which packets of a direction kill.
async fn interrupted(kept: &BackedUp, direction: Direction) -> Interrupted {
    Interrupted::new().await.going(direction).with(kept.environment())
}

/// The ids of the backups with a manifest, and of those without.
fn made(kept: &BackedUp) -> (Vec<String>, Vec<String>) {
    let entries = fs::read_dir(kept.path("backups")).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort();
    names.into_iter().partition(|name| kept.path("backups").join(name).join("manifest.json").exists())
}

#[tokio::test]
async fn a_backup_that_is_killed_anywhere_is_none_and_the_next_one_is_whole() {
    let kept = BackedUp::new().await;
    let interrupted = interrupted(&kept, Direction::FromDatabase).await;
    let mut points = Points::of(interrupted.whole(&kept.world, &["backup"]).await);
    assert_eq!(made(&kept).0.len(), 1);
    while points.remain() {
        interrupted.kill(&kept.world, &["backup"], &mut points).await;
    }
    let (complete, _) = made(&kept);
    assert!(complete.len() < 3, "those that were killed are no backups: {complete:?}");
    // What looks complete is: each of them, and the next one.
    interrupted.whole(&kept.world, &["backup"]).await;
    let before = contents(&kept.world.owner_config()).await;
    for id in made(&kept).0 {
        let empty = Empty::new(&kept.world).await;
        kept.restore(&id, &empty, &[]).await.expect("restored");
        for (table, contents) in contents_as_backed_up(&empty.0).await {
            assert!(contents == before[&table] || table.starts_with("audit") || table == "backup_run", "{id}: {table}");
        }
    }
}

#[tokio::test]
async fn a_restoration_that_is_killed_anywhere_leaves_nothing_and_the_next_one_is_whole() {
    let kept = BackedUp::new().await;
    let before = contents(&kept.world.owner_config()).await;
    let id = kept.back_up().await;
    let interrupted = interrupted(&kept, Direction::ToDatabase).await;
    let first = Empty::new(&kept.world).await;
    let mut points = Points::of(interrupted.whole(&kept.world, &["restore", &id, "--into", &first.0.name]).await);
    let second = Empty::new(&kept.world).await;
    let words = ["restore", &id, "--into", &second.0.name];
    while points.remain() {
        interrupted.kill(&kept.world, &words, &mut points).await;
        gone(&second).await;
        assert!(second.is_empty().await, "killed before {}: half of it is there", points.next());
    }
    interrupted.whole(&kept.world, &words).await;
    for restored in [&first, &second] {
        let found = contents(&restored.0).await;
        for (table, contents) in &before {
            assert!(found[table] == *contents || table == "audit_event", "{table}");
        }
        assert_eq!(found["audit_event"].rows, before["audit_event"].rows + 1);
    }
}

/// Waits until the server has ended what the killed process was doing: it holds locks until then.
async fn gone(empty: &Empty) {
    let others =
        "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while !empty.texts(others).await.is_empty() {
        tokio::task::yield_now().await;
    }
}

/// What is left of drills: the database, and who still works for one.
async fn left_of_drills(kept: &BackedUp) -> i64 {
    let database = format!("{}_drill", kept.world.database);
    kept.world.count(&format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'")).await
}

/// Waits until the server has ended what a killed drill was doing: until then it is its turn.
async fn no_drill_runs(kept: &BackedUp) {
    let working = format!(
        "SELECT count(*) FROM pg_stat_activity a LEFT JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory'
          WHERE a.datname = '{0}_drill' OR (a.datname = '{0}' AND l.pid IS NOT NULL)",
        kept.world.database
    );
    while kept.world.count(&working).await > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_drill_that_is_killed_anywhere_harms_nothing_and_the_next_one_passes() {
    let kept = BackedUp::new().await;
    kept.back_up().await;
    let before = contents(&kept.world.owner_config()).await;
    let (interrupted, words) = (interrupted(&kept, Direction::ToDatabase).await, ["backup", "verify"]);
    let mut points = Points::of(interrupted.whole(&kept.world, &words).await);
    while points.remain() {
        interrupted.kill(&kept.world, &words, &mut points).await;
        no_drill_runs(&kept).await;
    }
    interrupted.whole(&kept.world, &words).await;
    let passed = kept.world.count("SELECT count(*) FROM backup_run WHERE kind = 'drill' AND succeeded").await;
    assert!(passed >= 2 && left_of_drills(&kept).await == 0, "{passed} drills passed");
    for (table, contents) in contents(&kept.world.owner_config()).await {
        assert!(contents == before[&table] || table.starts_with("audit") || table == "backup_run", "{table}");
    }
}
