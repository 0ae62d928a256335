//! Pages: every match once and in order, however deep, while others write; and a link that only its owner can use.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use end_to_end::{
    World, ids, link,
    point::{blood_pressure, bundle, heart_rate, observation},
    reply::Reply,
};
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::collections::HashSet;

const PATH: &str = "/FHIR/R5/Observation";
const VICTOR: &str = "viewer_victor";

/// Uploads a bundle of observations, of both patients and both codes, many at the same effective time.
async fn upload(world: &World, count: usize) {
    let resources: Vec<Value> = (0..count)
        .map(|number| {
            let at = format!("2026-04-{:02}T08:00:00Z", 1 + number * 7 % 20);
            let rate = 50 + i32::try_from(number % 50).expect("small");
            let point = if number % 3 == 0 { blood_pressure(rate + 60, &at) } else { heart_rate(rate, &at) };
            observation(if number % 2 == 0 { 40001 } else { 40002 }, 70001, &point, "")
        })
        .collect();
    let (status, answer) = world.post("manager_mary", "/FHIR/R5", &bundle("transaction", &resources)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

/// What the order is by: the time, then the id.
fn key(resource: &Value, by_date: bool) -> (Timestamp, i64) {
    let time = if by_date { &resource["effectiveDateTime"] } else { &resource["meta"]["lastUpdated"] };
    let id = resource["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    (time.as_str().and_then(|time| time.parse().ok()).expect("a time"), id)
}

fn resources(bundle: &Value) -> Vec<Value> {
    bundle["entry"].as_array().expect("entries").iter().map(|entry| entry["resource"].clone()).collect()
}

/// Walks all pages of a search, writing a few observations after the third. The resources, in the order of the pages.
async fn walk(world: &World, user: &str, query: &str) -> Vec<Value> {
    let mut path = format!("{PATH}?{query}&_count=17");
    let mut walked = Vec::new();
    for page in 0.. {
        let (status, bundle) = world.get(user, &path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {bundle}");
        let found = resources(&bundle);
        assert!(!found.is_empty(), "{path}: no page but a lone first one is empty");
        walked.extend(found);
        if page == 3 {
            upload(world, 4).await;
        }
        match link(world, &bundle, "next") {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    walked
}

#[tokio::test]
async fn a_walk_gives_every_match_once_and_in_order_while_others_write() {
    let world = World::new().await;
    upload(&world, 250).await;
    let searches = [
        (VICTOR, "patient._has:Group:member:_id=30001"),
        (VICTOR, "patient=40001,40002"),
        ("ll_patient_peter", "_total=none"),
        ("admin", "patient._has:Group:member:_id=30001"),
        ("admin", "patient=40001,40002"),
    ];
    for (user, search) in searches {
        for sort in ["_lastUpdated", "-_lastUpdated", "date", "-date"] {
            let what = format!("{user} {search} {sort}");
            let (_, before) = world.get(user, &format!("{PATH}?{search}&_sort={sort}&_count=1000")).await;
            let existing = ids(&before);
            assert!(existing.len() > 120, "{what}: {}", existing.len());
            assert!(link(&world, &before, "next").is_none(), "{what}: all on one page");

            let walked = walk(&world, user, &format!("{search}&_sort={sort}")).await;
            let mut keys: Vec<(Timestamp, i64)> =
                walked.iter().map(|resource| key(resource, sort.ends_with("date"))).collect();
            if sort.starts_with('-') {
                keys.reverse();
            }
            let disorder = keys.windows(2).position(|pair| pair[0] >= pair[1]);
            assert_eq!(disorder.map(|at| (at, &keys[at..at + 2])), None, "{what}: in order, and nothing twice");
            let seen: HashSet<&str> = walked.iter().filter_map(|resource| resource["id"].as_str()).collect();
            assert!(existing.iter().all(|id| seen.contains(id.as_str())), "{what}: what was there is there");
            let of_those: Vec<&str> = walked
                .iter()
                .filter_map(|resource| resource["id"].as_str())
                .filter(|id| existing.iter().any(|known| known == id))
                .collect();
            assert_eq!(of_those, existing, "{what}: as on one page");
        }
    }
}

#[tokio::test]
async fn a_super_admin_walks_everything_by_change() {
    let world = World::new().await;
    upload(&world, 60).await;
    for sort in ["_lastUpdated", "-_lastUpdated"] {
        let walked = walk(&world, "admin", &format!("_sort={sort}")).await;
        let seen: HashSet<&str> = walked.iter().filter_map(|resource| resource["id"].as_str()).collect();
        assert_eq!(seen.len(), walked.len(), "{sort}: nothing twice");
        assert!(seen.len() >= 69, "{sort}: {}", seen.len());
    }
}

#[tokio::test]
async fn a_full_last_page_has_no_next() {
    let world = World::new().await;
    for (count, next) in [(1, true), (2, false), (3, false)] {
        let (_, page) = world.get(VICTOR, &format!("{PATH}?patient=40001&_count={count}")).await;
        assert_eq!(link(&world, &page, "next").is_some(), next, "{count} of 2: {page}");
    }
}

#[tokio::test]
async fn a_next_link_says_nothing_and_works_only_for_its_user_and_search() {
    let world = World::new().await;
    upload(&world, 20).await;
    let search = "patient=40001&code=omh:heart-rate:2.0";
    let (_, first) = world.get(VICTOR, &format!("{PATH}?{search}&_count=3")).await;
    let next = link(&world, &first, "next").expect("a next page").to_owned();
    let (_, cursor) = next.split_once("_cursor=").expect("a cursor");
    assert!(!next.contains(world.token(VICTOR)));
    for id in ids(&first) {
        assert!(!next.contains(&id), "{next}");
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).expect("an opaque text");
    for secret in [world.token(VICTOR), "LlPatientPeter", "Stevens", "omh:"] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
    let (status, second) = world.get(VICTOR, &next).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(ids(&world.get(VICTOR, &next).await.1), ids(&second), "again the same page");
    let at = |query: &str| format!("{PATH}?{query}&_cursor={cursor}");
    let (status, wider) = world.get(VICTOR, &at(&format!("{search}&_count=5"))).await;
    assert_eq!(status, StatusCode::OK, "the page size may change: {wider}");
    assert_eq!(ids(&wider)[..3], ids(&second)[..]);

    for user in ["member_megan", "ll_patient_peter", "admin"] {
        Reply::to(world.request(user, Method::GET, &next)).await.refusal(400, user);
    }
    for other in [
        "patient=40002&code=omh:heart-rate:2.0",
        "patient=40001",
        "patient=40001&code=omh:blood-pressure:4.0",
        "patient=40001,40002&code=omh:heart-rate:2.0",
        "patient=40001&code=omh:heart-rate:2.0&_sort=date",
        "patient=40001&code=omh:heart-rate:2.0&status=final",
        "patient=40001&code=omh:heart-rate:2.0&_has:Group:member:_id=30001",
    ] {
        Reply::to(world.request(VICTOR, Method::GET, &at(other))).await.refusal(400, other);
    }
    // Every character counts, and nothing can be left out or added.
    for position in 0..cursor.len() {
        let mut forged = cursor.as_bytes().to_vec();
        forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).expect("text");
        let path = format!("{PATH}?{search}&_cursor={forged}");
        Reply::to(world.request(VICTOR, Method::GET, &path)).await.refusal(400, "forged");
    }
    for forged in [&cursor[1..], &cursor[..60], &format!("{cursor}A"), &"A".repeat(64), &"A".repeat(300)] {
        let path = format!("{PATH}?{search}&_cursor={forged}");
        Reply::to(world.request(VICTOR, Method::GET, &path)).await.refusal(400, "forged");
    }
}

#[tokio::test]
async fn what_is_revoked_between_two_pages_is_not_on_the_second() {
    let world = World::new().await;
    upload(&world, 20).await;
    for search in ["patient=40001", "patient._has:Group:member:_id=30001"] {
        let (_, first) = world.get(VICTOR, &format!("{PATH}?{search}&_count=2&_sort=_lastUpdated")).await;
        let next = link(&world, &first, "next").expect("a next page").to_owned();
        for scope in [50002, 50004] {
            world.record_consent(40001, 30001, scope, "withdrawn").await;
        }
        let (status, second) = world.get(VICTOR, &next).await;
        assert_eq!(status, StatusCode::OK);
        let of_peter = |resource: &Value| resource["subject"]["reference"] == "Patient/40001";
        assert!(!resources(&second).iter().any(of_peter), "{search}: {second}");
        for scope in [50002, 50004] {
            world.record_consent(40001, 30001, scope, "granted").await;
        }
    }
}
