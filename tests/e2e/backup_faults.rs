//! Backups and restorations that are killed: the state afterwards is one of two, and doing it again is as if nothing had been.

use end_to_end::{
    World,
    backups::{BackedUp, Empty, contents, contents_as_backed_up},
    proxy::{Direction, Proxy},
};
use std::{fs, process::Stdio};
use tokio::process::{Child, Command};

/// At how many points each is killed.
const POINTS: i64 = 20;

/// Starts the command of the host behind a proxy.
fn start(kept: &BackedUp, proxy: &Proxy, words: &[&str]) -> Child {
    let tests = std::env::current_exe().expect("a path");
    let jhe = tests.ancestors().nth(2).expect("the target directory").join("jhe");
    Command::new(jhe)
        .args(words)
        .envs(kept.environment())
        .env("DB_OWNER_PORT", proxy.port.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("jhe is built before the tests")
}

/// Runs it to its end: whether it succeeded, and how many packets went in a direction.
async fn whole(kept: &BackedUp, proxy: &Proxy, direction: Direction, words: &[&str]) -> (bool, i64) {
    proxy.arm(direction, i64::MAX);
    let status = start(kept, proxy, words).wait().await.expect("it ended");
    let packets = i64::MAX - proxy.left(direction);
    proxy.disarm(direction);
    (status.success(), packets)
}

/// Kills it at the packet after so many in a direction.
async fn killed(kept: &BackedUp, proxy: &Proxy, direction: Direction, after: i64, words: &[&str]) {
    let mut cut = proxy.cuts();
    proxy.arm(direction, after);
    let mut child = start(kept, proxy, words);
    tokio::select! {
        biased;
        _ = cut.recv() => child.kill().await.expect("killed"),
        status = child.wait() => assert!(status.expect("it ended").success() && proxy.left(direction) >= 0, "it failed by itself"),
    }
    proxy.disarm(direction);
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
    let proxy = Proxy::start(World::postgres_port()).await;
    let (succeeded, packets) = whole(&kept, &proxy, Direction::FromDatabase, &["backup"]).await;
    assert!(succeeded && packets > POINTS, "{packets} packets");
    assert_eq!(made(&kept).0.len(), 1);
    for point in 0..POINTS {
        killed(&kept, &proxy, Direction::FromDatabase, packets * point / POINTS, &["backup"]).await;
    }
    let (complete, _) = made(&kept);
    assert!(complete.len() < 3, "those that were killed are no backups: {complete:?}");
    // What looks complete is: each of them, and the next one.
    let (succeeded, _) = whole(&kept, &proxy, Direction::FromDatabase, &["backup"]).await;
    assert!(succeeded);
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
    let proxy = Proxy::start(World::postgres_port()).await;
    let direction = Direction::ToDatabase;
    let first = Empty::new(&kept.world).await;
    let (succeeded, packets) = whole(&kept, &proxy, direction, &["restore", &id, "--into", &first.0.name]).await;
    assert!(succeeded && packets > POINTS, "{packets} packets");
    let second = Empty::new(&kept.world).await;
    let words = ["restore", &id, "--into", &second.0.name];
    for point in 0..POINTS {
        killed(&kept, &proxy, direction, packets * point / POINTS, &words).await;
        gone(&second).await;
        assert!(second.is_empty().await, "killed at {point}: half of it is there");
    }
    let (succeeded, _) = whole(&kept, &proxy, direction, &words).await;
    assert!(succeeded);
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
    let proxy = Proxy::start(World::postgres_port()).await;
    let (direction, words) = (Direction::ToDatabase, ["backup", "verify"]);
    let (succeeded, packets) = whole(&kept, &proxy, direction, &words).await;
    assert!(succeeded && packets > POINTS, "{packets} packets");
    for point in 0..POINTS {
        killed(&kept, &proxy, direction, packets * point / POINTS, &words).await;
        no_drill_runs(&kept).await;
    }
    let (succeeded, _) = whole(&kept, &proxy, direction, &words).await;
    assert!(succeeded);
    let passed = kept.world.count("SELECT count(*) FROM backup_run WHERE kind = 'drill' AND succeeded").await;
    assert!(passed >= 2 && left_of_drills(&kept).await == 0, "{passed} drills passed");
    for (table, contents) in contents(&kept.world.owner_config()).await {
        assert!(contents == before[&table] || table.starts_with("audit") || table == "backup_run", "{table}");
    }
}
