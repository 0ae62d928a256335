//! Commands of what the clock calls, called by hand: what they do may be for ever, so they do what was said and nothing else.

use end_to_end::{
    World,
    backups::{BackedUp, Empty},
};
use standalone::SCHEDULED;
use std::process::Output;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A command beside a world with backups, with other variables; those without a value are not there.
fn run(kept: &BackedUp, words: &[&str], variables: &[(&str, Option<&str>)]) -> Output {
    let mut command = kept.world.command(&kept.path("home"), words);
    command.envs(kept.environment());
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.output().expect("jhe is built before the tests")
}

#[tokio::test]
async fn what_is_no_option_of_a_command_ends_it_before_anything_is_done() {
    let world = World::new().await;
    let events = world.count("SELECT count(*) FROM audit_event").await;
    let others = SCHEDULED.iter().filter(|function| !["backup", "backup verify"].contains(&function.command));
    for function in others {
        let words: Vec<&str> = function.command.split(' ').collect();
        let output = world.run(&[&words[..], &["--dry-run"]].concat());
        assert_eq!(output.status.code(), Some(2), "{}: {}", function.command, said(&output));
        assert!(said(&output).contains("--dry-run is no option here"), "{}", said(&output));
        let output = world.run(&[&words[..], &["--help"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}: {}", function.command, said(&output));
        assert!(said(&output).contains(function.summary), "{}", said(&output));
    }
    for command in [&["backup"][..], &["backup", "verify"]] {
        let output = world.run(&[command, &["--to", "/nowhere", "--from", "/nowhere", "--dry-run"]].concat());
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let output = world.run(&[command, &["--help"]].concat());
        assert!(output.status.success() && said(&output).contains("jhe backup"), "{}", said(&output));
    }
    assert_eq!(world.count("SELECT count(*) FROM audit_event").await, events, "nothing was done");
}

#[tokio::test]
async fn what_cannot_be_done_by_hand_is_a_failure_and_the_log_says_why() {
    let kept = BackedUp::new().await;
    let owner = [("DB_OWNER_USER", None), ("DB_OWNER_PASSWORD", None)];
    let output = run(&kept, &["backup", "verify"], &owner);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("nothing was tried: DB_OWNER_USER"), "{}", said(&output));

    let output = run(&kept, &["backup", "verify"], &[("LOG_LEVEL", Some("info"))]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = log.lines().find(|line| line.contains("\"failed\"")).unwrap_or_else(|| panic!("no line: {log}"));
    assert!(line.contains("there is no complete backup"), "{line}");
}

#[tokio::test]
async fn a_restoration_says_how_far_it_is_and_leaves_the_servers_own_databases_alone() {
    let kept = BackedUp::new().await;
    let loud = [("LOG_LEVEL", Some("info"))];
    let output = run(&kept, &["backup"], &loud);
    assert!(output.status.success(), "{}", said(&output));
    let tells = |output: &Output, done: &str| {
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let of_patients = |line: &str| line.contains(done) && line.contains("\"patient\"") && line.contains("\"rows\"");
        assert!(log.lines().any(of_patients), "{log}");
    };
    tells(&output, "\"written\"");
    let of_drills = format!("{}_drill", kept.world.database);
    for (name, why) in [
        ("template1", "is a database of the server itself"),
        ("template0", "is a database of the server itself"),
        ("postgres", "is a database of the server itself"),
        (&of_drills, "is a name for what drills make and drop"),
    ] {
        let output = run(&kept, &["restore", "latest", "--into", name], &[]);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", said(&output));
        assert!(said(&output).contains(why), "{}", said(&output));
    }
    let empty = Empty::new(&kept.world).await;
    let output = run(&kept, &["restore", "latest", "--into", &empty.0.name], &loud);
    assert!(output.status.success(), "{}", said(&output));
    tells(&output, "\"restored\"");
}

#[tokio::test]
async fn a_place_that_is_wrong_is_told_in_words_and_by_hand_it_is_no_backup_of_the_schedule() {
    let kept = BackedUp::new().await;
    let refused = |words: &[&str], variables: &[(&str, Option<&str>)], why: &str| {
        let output = run(&kept, words, variables);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {}", said(&output));
        assert!(said(&output).contains(why), "{words:?}: {}", said(&output));
    };
    let runs = async || kept.world.count("SELECT count(*) FROM backup_run").await;
    let of_schedule = kept.path("backups").display().to_string();
    let no_place = "is neither a directory nor s3://BUCKET or s3://BUCKET/PREFIX";
    for place in ["s3://", "s3:///jhe", "file:///x", "https://example.org/backups"] {
        let why = format!("{place} {no_place}");
        refused(&["backup", "--to", place], &[], &why);
        refused(&["backup", "verify", "--from", place], &[], &why);
        refused(&["restore", "latest", "--into", "nothing", "--from", place], &[], &why);
    }
    assert_eq!(runs().await, 0);
    assert_eq!(kept.world.count("SELECT count(*) FROM audit_event WHERE resource_type = 'Backup'").await, 0);

    // It could be one: it is tried, it failed, and the schedule goes by its own place.
    refused(&["backup", "--to", "/proc/x"], &[], "/proc/x");
    refused(&["backup", "--to", "/proc/x"], &[], "cannot be used: No such file or directory");
    let credentials = [("AWS_REGION", None), ("AWS_ACCESS_KEY_ID", None), ("AWS_SECRET_ACCESS_KEY", None)];
    refused(&["backup", "--to", "s3://bucket/jhe"], &credentials, "set AWS_");
    assert_eq!(runs().await, 3);
    let store = kept.world.app.store().await.expect("a store");
    let last = store.last_backup_run(store::RunKind::Backup, Some(&of_schedule)).await.expect("an answer");
    assert!(last.is_none(), "{last:?}");

    // Where it is set, nobody reads what is said: it is a backup that failed.
    refused(&["backup"], &[("BACKUP_TO", Some("file:///x"))], no_place);
    assert_eq!(kept.world.count("SELECT count(*) FROM backup_run WHERE NOT succeeded").await, 4);
}
