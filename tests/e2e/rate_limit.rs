//! How many requests a user may send with a client: `RATE_LIMIT_PER_MINUTE`.

use end_to_end::{World, reply::Reply};
use reqwest::{Method, StatusCode};
use runtime::Protocol;

const PROFILE: &str = "/api/v1/users/profile";

async fn world(per_minute: &str) -> World {
    World::with(&[("RATE_LIMIT_PER_MINUTE", per_minute)]).await
}

async fn ask(world: &World, user: &str, path: &str) -> Reply {
    Reply::to(world.request(user, Method::GET, path)).await
}

/// As if other processes had taken all that was left.
async fn empty(world: &World, user: i32) {
    let statement = "UPDATE rate_limit SET spent_until = clock_timestamp() + interval '60 seconds' WHERE user_id";
    assert_eq!(world.sql(&format!("{statement} = {user} RETURNING 1")).await.len(), 1);
}

/// As if so many seconds had passed, for the buckets and for what the process took from them.
async fn pass(world: &World, seconds: u32) {
    world
        .sql(&format!("UPDATE rate_limit SET spent_until = spent_until - interval '{seconds} seconds' RETURNING 1"))
        .await;
}

#[tokio::test]
async fn who_sends_more_than_the_limit_is_told_when_to_come_back_in_the_shape_of_the_protocol() {
    // The bucket fills up by one in six seconds.
    let world = world("10").await;
    assert_eq!(ask(&world, "manager_mary", PROFILE).await.status, StatusCode::OK);
    empty(&world, 10002).await;
    let end = world.audit_end().await;
    for (path, protocol) in
        [(PROFILE, Protocol::Rest), ("/FHIR/R5/Patient/40001", Protocol::Fhir), ("/o/userinfo/", Protocol::OAuth)]
    {
        let reply = ask(&world, "manager_mary", path).await;
        assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS, "{path}: {}", reply.text);
        let seconds: u32 = reply.header("retry-after").parse().expect("seconds");
        assert!((1..=6).contains(&seconds), "{path}: {seconds}");
        reply.assert_well_formed(protocol, path);
    }
    assert_eq!(world.audit_after(end).await, [], "a flood does not fill the audit");
    // Others, and the same user with another client, have shares of their own.
    assert_eq!(ask(&world, "member_megan", PROFILE).await.status, StatusCode::OK);
    world.sql("UPDATE oauth_grant SET client_id = 1 WHERE user_id = 10002 RETURNING 1").await;
    assert_eq!(ask(&world, "manager_mary", "/o/userinfo/").await.status, StatusCode::OK);
    // What needs no token has no limit here, and a wrong token is not counted as anybody's.
    for _ in 0..5 {
        assert_eq!(Reply::to(world.anonymous(Method::GET, "/FHIR/R5/metadata")).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn requests_are_counted_until_the_bucket_is_empty() {
    let world = world("10").await;
    let started = std::time::Instant::now();
    let mut served = 0;
    while ask(&world, "manager_mary", PROFILE).await.status == StatusCode::OK {
        served += 1;
    }
    let refilled = started.elapsed().as_secs() / 6 + 1;
    assert!((10..=10 + refilled).contains(&served), "{served}");
}

#[tokio::test]
async fn a_batch_is_taken_in_one_statement_and_another_process_has_the_rest() {
    let world = world("30").await;
    let left = "SELECT extract(epoch FROM spent_until - clock_timestamp())::int8 FROM rate_limit WHERE user_id = 10002";
    assert_eq!(ask(&world, "manager_mary", PROFILE).await.status, StatusCode::OK);
    let taken = world.count(left).await;
    assert!((1..=6).contains(&taken), "a batch of three, which comes back in six seconds: {taken}");
    for _ in 0..2 {
        assert_eq!(ask(&world, "manager_mary", PROFILE).await.status, StatusCode::OK);
    }
    assert!(world.count(left).await <= taken, "nobody asked the database");
    empty(&world, 10002).await;
    assert_eq!(ask(&world, "manager_mary", PROFILE).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn the_database_gives_what_the_formula_says() {
    use std::time::Duration;
    let world = World::new().await;
    let store = world.store();
    let minute = Duration::from_mins(1);
    let mut spent = Vec::new();
    for part in [20, 20, 20, 20, 60] {
        let (user, client) = (authz::UserId(10002), authz::ClientId(4));
        spent.push(store.take_share(user, client, Duration::from_secs(part), minute).await.expect("an answer"));
    }
    assert_eq!(spent[..3], [None; 3], "three times a third");
    for refused in &spent[3..] {
        let refused = refused.expect("refused");
        assert!(refused > Duration::from_secs(50) && refused <= minute, "a refusal takes nothing: {refused:?}");
    }
    pass(&world, 25).await;
    let (user, client) = (authz::UserId(10002), authz::ClientId(4));
    let take = async || store.take_share(user, client, Duration::from_secs(20), minute).await.expect("an answer");
    assert_eq!(take().await, None, "it fills up");
    assert!(take().await.is_some(), "and no more than that");
    pass(&world, 3600).await;
    for _ in 0..3 {
        assert_eq!(take().await, None, "never more than full");
    }
    assert!(take().await.is_some());
}

#[tokio::test]
async fn zero_is_no_limit_and_costs_nothing() {
    let world = world("0").await;
    for _ in 0..50 {
        assert_eq!(ask(&world, "manager_mary", PROFILE).await.status, StatusCode::OK);
    }
    assert_eq!(world.count("SELECT count(*) FROM rate_limit").await, 0);
}
