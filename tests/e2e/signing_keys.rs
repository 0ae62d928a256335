//! The keys that sign `id_token`s move up while instances run: no restart, no gap, and never too early.

use end_to_end::{
    World, answer,
    browser::{Browser, CLIENT, VERIFIER, with_query},
    id_token::{jwks, kid, kids, verified},
};
use reqwest::StatusCode;
use runtime::{App, Failure, Occasion};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A world with keys of its own.
async fn world(directory: &tempfile::TempDir) -> World {
    let file = ring(directory).display().to_string();
    World::with(&[("SIGNING_KEYS_FILE", &file)]).await
}

/// The document of the keys.
fn ring(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("keys/ring.json")
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// A call of the scheduled function in a process.
async fn call(app: &App, input: Value) -> Result<Value, Failure> {
    oauth_rotate_keys::FUNCTION.run(app, &Occasion::new("scheduled", input)).await
}

/// Changes the document of the keys, as if time had passed.
fn age(directory: &tempfile::TempDir, hours: i64) {
    let path = ring(directory);
    let mut ring: Value = serde_json::from_str(&fs::read_to_string(&path).expect("the keys")).expect("JSON");
    let rotated: jiff::Timestamp = ring["rotated_at"].as_str().expect("a time").parse().expect("a time");
    ring["rotated_at"] = json!(rotated - jiff::SignedDuration::from_hours(hours));
    fs::write(&path, ring.to_string()).expect("written");
}

/// An `id_token` that a process issues for Mary.
async fn id_token(world: &World, base: &str) -> String {
    let (code, redirect_uri) = (world.code("manager_mary").await, world.redirect_uri().await);
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("redirect_uri", &redirect_uri),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    let request = reqwest::Client::new().post(format!("{base}/o/token/")).form(&form);
    let (status, tokens) = answer(request).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    tokens["id_token"].as_str().expect("an id_token").to_owned()
}

#[tokio::test]
async fn keys_move_up_under_running_instances_and_every_token_verifies_with_every_key_set() {
    let directory = directory();
    let world = world(&directory).await;
    let (other, other_base) = world.second_process().await;
    let mut tokens = vec![id_token(&world, &world.base).await];
    for round in 1..=4_usize {
        // One instance goes on with what it read before; the other one rotates, and so knows of it.
        let before = jwks(&world.base).await;
        age(&directory, 24);
        let report = call(&other, json!({ "now": true })).await.expect("rotated");
        assert_eq!(report["outcome"], "rotated", "{report}");
        let (stale, fresh) = (jwks(&world.base).await, jwks(&other_base).await);
        assert_eq!(stale, before, "it is not read again for each request");
        assert_eq!(json!(kids(&fresh)), report["keys"]);
        assert_eq!(kids(&fresh).len(), 3);
        assert_eq!((kids(&fresh)[0], kids(&fresh)[2]), (kids(&stale)[1], kids(&stale)[0]), "they moved up");
        assert!(!kids(&stale).contains(&kids(&fresh)[1]), "the next one is new");
        let (old, new) = (id_token(&world, &world.base).await, id_token(&world, &other_base).await);
        assert_eq!((kid(&old).as_str(), kid(&new).as_str()), (kids(&stale)[0], kids(&fresh)[0]));
        let previous = tokens.last().expect("a token").clone();
        for token in [&previous, &old, &new] {
            for keys in [&stale, &fresh] {
                let claims = verified(token, keys).expect("a good signature");
                assert_eq!((&claims["sub"], &claims["iss"]), (&json!("10002"), &json!(format!("{}/o", world.base))));
            }
        }
        // The first one finds out when it looks: the schedule's next call, or five minutes.
        assert_eq!(call(&world.app, json!({})).await.expect("looked")["outcome"], "not due");
        assert_eq!(jwks(&world.base).await, fresh);
        tokens.push(new);
        assert_eq!(verified(&tokens[0], &fresh).is_some(), round < 2, "a key is published for two rotations");
    }
    let records = "SELECT count(*) FROM audit_event WHERE resource_type = 'SigningKeys' AND actor_type = 'system'
                      AND action = 'update' AND outcome = 'allowed' AND request_id = 'scheduled'";
    assert_eq!(world.count(records).await, 4);
}

#[tokio::test]
async fn keys_that_tokens_and_caches_still_need_stay_whoever_asks() {
    let directory = directory();
    let world = world(&directory).await;
    let text = || fs::read_to_string(ring(&directory)).expect("the keys");
    let before = text();
    assert_eq!(call(&world.app, json!({})).await.expect("looked")["outcome"], "not due");
    assert!(matches!(call(&world.app, json!({ "now": true })).await, Err(Failure::Conflict(_))));
    assert_eq!(text(), before);
    let refused = "SELECT count(*) FROM audit_event WHERE resource_type = 'SigningKeys' AND outcome = 'denied'";
    assert_eq!(world.count(refused).await, 1);

    // An hour and 25 minutes: a cache, a token, a published key set, and a margin.
    age(&directory, 1);
    assert!(matches!(call(&world.app, json!({ "now": true })).await, Err(Failure::Conflict(_))));
    age(&directory, 1);
    assert_eq!(call(&world.app, json!({})).await.expect("looked")["outcome"], "not due", "a month");
    age(&directory, 24 * 30);
    assert_eq!(call(&world.app, json!({})).await.expect("rotated")["outcome"], "rotated");
}

#[tokio::test]
async fn of_rotations_at_the_same_time_one_counts() {
    let directory = directory();
    let world = world(&directory).await;
    let (other, _) = world.second_process().await;
    let before = jwks(&world.base).await;
    age(&directory, 24);
    let now = || json!({ "now": true });
    let results = tokio::join!(call(&world.app, now()), call(&other, now()), call(&world.app, now()));
    // Who comes when it is done is too early for the next one.
    let outcome = |result: Result<Value, Failure>| match result {
        Ok(report) => report["outcome"].as_str().expect("an outcome").to_owned(),
        Err(Failure::Conflict(_)) => "too early".to_owned(),
        Err(failure) => panic!("{failure:?}"),
    };
    let outcomes = [outcome(results.0), outcome(results.1), outcome(results.2)];
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "rotated").count(), 1, "{outcomes:?}");
    assert_eq!(kids(&jwks(&world.base).await)[0], kids(&before)[1]);
}

#[tokio::test]
async fn a_hint_signed_by_any_published_key_is_understood() {
    let directory = directory();
    let world = world(&directory).await;
    let token = id_token(&world, &world.base).await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    for (rotations, expected) in [(0, true), (1, true), (2, false)] {
        let page = browser.get(&with_query("/o/logout/", &[("id_token_hint", &token)])).await;
        assert_eq!(page.text.contains("JHE Admin UI"), expected, "after {rotations} rotations");
        age(&directory, 24);
        call(&world.app, json!({ "now": true })).await.expect("rotated");
    }
}

#[tokio::test]
async fn the_first_call_makes_keys_of_4096_bits_that_only_their_owner_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = directory();
    let file = ring(&directory).with_file_name("made.json");
    let world = world(&directory).await;
    // The world's own keys are short, for speed.
    let (app, _) =
        world.process_with(&[("SIGNING_KEYS_FILE", &file.display().to_string()), ("SIGNING_KEY_BITS", "")]).await;
    let report = call(&app, json!({})).await.expect("made");
    assert_eq!((&report["outcome"], report["keys"].as_array().map(Vec::len)), (&json!("made"), Some(2)));
    assert_eq!(fs::metadata(&file).expect("the keys").permissions().mode() & 0o777, 0o600);
    let keys = signing_keys::keys(&app).await.expect("keys");
    assert!(keys.jwks().keys.iter().all(|key| key.bits() == 4096));
}

#[tokio::test]
async fn without_keys_no_token_is_issued_and_no_code_is_used_up() {
    let directory = directory();
    let world = world(&directory).await;
    let code = world.code("manager_mary").await;
    let ring = ring(&directory);
    let aside = directory.path().join("aside.json");
    fs::rename(&ring, &aside).expect("moved");
    let (_, base) = world.second_process().await;
    let redirect_uri = world.redirect_uri().await;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("redirect_uri", &redirect_uri),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    let (status, error) = answer(reqwest::Client::new().post(format!("{base}/o/token/")).form(&form)).await;
    assert_eq!((status, &error["error"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("temporarily_unavailable")));
    fs::rename(&aside, &ring).expect("moved");
    assert_eq!(world.exchange(&code, VERIFIER).await.0, StatusCode::OK);
}

/// The command of the host, with the environment that leads to a world.
fn command(world: &World, ring: &Path, options: &[&str]) -> std::process::Output {
    world
        .command(&ring.with_file_name("home"), options)
        .env("SIGNING_KEYS_FILE", ring)
        .env("SIGNING_KEY_BITS", "2048")
        .output()
        .expect("jhe is built before the tests")
}

#[tokio::test]
async fn a_command_rotates_beside_a_running_host() {
    let directory = directory();
    let world = world(&directory).await;
    let ring = ring(&directory);
    let before = jwks(&world.base).await;
    let early = command(&world, &ring, &["rotate-keys", "--now"]);
    assert!(!early.status.success() && String::from_utf8_lossy(&early.stderr).contains("a short while ago"));
    age(&directory, 24);
    let done = command(&world, &ring, &["rotate-keys", "--now"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report: Value = serde_json::from_slice(&done.stdout).expect("a report");
    assert_eq!((&report["outcome"], &report["keys"][0]), (&json!("rotated"), &json!(kids(&before)[1])));
    call(&world.app, json!({})).await.expect("looked");
    assert_eq!(json!(kids(&jwks(&world.base).await)), report["keys"]);
    assert_eq!(command(&world, &ring, &["rotate-keys", "now"]).status.code(), Some(2));
    let help = command(&world, &ring, &["help"]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("jhe rotate-keys"));
}
