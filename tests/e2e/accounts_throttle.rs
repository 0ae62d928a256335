//! Guessing passwords: it slows down, and nobody can lock somebody else out (OWASP ASVS 5.0 section 6.3.1).

use end_to_end::{
    World,
    browser::{Browser, email},
};
use reqwest::{Method, StatusCode};
use standalone::demo::PASSWORD;

/// The key of a count, as the product makes it.
fn key(kind: &str, what: &str) -> String {
    format!("sha256(convert_to(E'password\\n{kind}\\n{what}', 'UTF8'))")
}

/// Writes a count, as of now.
async fn count(world: &World, kind: &str, what: &str, failures: i32) {
    let key = key(kind, what);
    world
        .sql(&format!(
            "INSERT INTO login_failure VALUES ({key}, {failures}, clock_timestamp())
             ON CONFLICT (account_hash) DO UPDATE SET failures = {failures}, last_failure = clock_timestamp()"
        ))
        .await;
}

/// Where the tests come from.
async fn pair(world: &World, account: &str) -> String {
    let addresses = world.sql("SELECT source_address FROM audit_event WHERE source_address IS NOT NULL LIMIT 1").await;
    let address: String = addresses.first().expect("an event with an address").get(0);
    let network = if address.contains(':') { "0".to_owned() } else { address };
    format!("{account}\n{network}")
}

#[tokio::test]
async fn wrong_passwords_have_to_wait_longer_and_longer() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    let mary = email("manager_mary");
    for spelling in [&mary, &mary.to_uppercase(), &mary, &mary, &mary, &mary] {
        assert_eq!(browser.sign_in(spelling, "wrong", "/").await.status, StatusCode::OK);
    }
    let pair = pair(&world, &mary).await;
    for (failures, least, most) in [(6, 1, 5), (9, 30, 40), (12, 300, 320), (50, 880, 900)] {
        count(&world, "pair", &pair, failures).await;
        for password in ["wrong", PASSWORD] {
            let reply = browser.sign_in(&mary, password, "/").await;
            assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS, "{failures}");
            let wait: u32 = reply.header("retry-after").parse().expect("seconds");
            assert!((least..=most).contains(&wait), "{failures}: {wait}");
            assert!(reply.text.contains("Please wait") && reply.text.contains("and try again"), "{}", reply.text);
        }
    }
    world.sql("UPDATE login_failure SET last_failure = clock_timestamp() - interval '15 minutes'").await;
    assert_eq!(browser.sign_in(&mary, PASSWORD, "/").await.status, StatusCode::FOUND, "never for good");
    let clear = format!("SELECT failures::bigint FROM login_failure WHERE account_hash = {}", key("pair", &pair));
    assert_eq!(world.count(&clear).await, 0, "a right one clears the count");
}

#[tokio::test]
async fn an_attempt_that_has_to_wait_does_not_prolong_the_wait_and_is_recorded() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    let mary = email("manager_mary");
    browser.sign_in(&mary, "wrong", "/").await;
    count(&world, "pair", &pair(&world, &mary).await, 8).await;
    let before = world.sql("SELECT account_hash, failures, last_failure::text FROM login_failure ORDER BY 1").await;
    let end = world.audit_end().await;
    assert_eq!(browser.sign_in(&mary, "wrong", "/").await.status, StatusCode::TOO_MANY_REQUESTS);
    let after = world.sql("SELECT account_hash, failures, last_failure::text FROM login_failure ORDER BY 1").await;
    let rows = |rows: &[tokio_postgres::Row]| -> Vec<(i32, String)> {
        rows.iter().map(|row| (row.get(1), row.get(2))).collect()
    };
    assert_eq!(rows(&before), rows(&after));
    assert_eq!(world.audit_after(end).await[0].refused_by.as_deref(), Some("token"));
}

#[tokio::test]
async fn guesses_from_elsewhere_do_not_keep_a_person_out_where_they_sign_in() {
    let world = World::new().await;
    let mary = email("manager_mary");
    let browser = Browser::signed_in(&world, "manager_mary").await;
    count(&world, "account", &mary, 1_000).await;
    let address = pair(&world, "").await;
    count(&world, "address", address.trim(), 1_000).await;
    assert_eq!(browser.sign_in(&mary, PASSWORD, "/").await.status, StatusCode::FOUND);
    count(&world, "account", &mary, 1_000).await;
    world.sql("UPDATE login_failure SET succeeded = false").await;
    let reply = browser.sign_in(&mary, PASSWORD, "/").await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS, "from a new place all counts count");
    let wait: u32 = reply.header("retry-after").parse().expect("seconds");
    assert!(wait <= 300, "{wait}");
}

#[tokio::test]
async fn many_accounts_from_one_address_have_to_wait() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    browser.sign_in(&email("nobody"), "wrong", "/").await;
    count(&world, "address", pair(&world, "").await.trim(), 105).await;
    for name in ["manager_mary", "nobody_else"] {
        assert_eq!(browser.sign_in(&email(name), PASSWORD, "/").await.status, StatusCode::TOO_MANY_REQUESTS, "{name}");
    }
}

#[tokio::test]
async fn an_account_that_does_not_exist_waits_like_one_that_does_and_is_not_kept() {
    let world = World::new().await;
    let mut pages = Vec::new();
    for name in ["nobody", "manager_mary"] {
        let browser = Browser::new(&world);
        browser.sign_in(&email(name), "wrong", "/").await;
        count(&world, "pair", &pair(&world, &email(name)).await, 50).await;
        let reply = browser.sign_in(&email(name), "wrong", "/").await;
        assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
        pages.push(reply.text);
    }
    assert_eq!(pages[0], pages[1]);
    assert_eq!(world.tables_with("nobody@example.com").await, [""; 0], "what was typed is not kept");
}

#[tokio::test]
async fn guesses_sent_at_the_same_time_are_all_counted() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    let token = end_to_end::browser::form_token(&browser.get("/accounts/login/").await);
    let cookie = format!("csrftoken={}", browser.cookie("csrftoken").expect("a cookie"));
    let attempts = (0..12).map(|_| {
        let form =
            [("csrfmiddlewaretoken", token.as_str()), ("username", "manager_mary@example.com"), ("password", "wrong")];
        let request = world.anonymous(Method::POST, "/accounts/login/").header("cookie", &cookie).form(&form);
        tokio::spawn(async move { request.send().await.expect("an answer").status() })
    });
    let mut judged = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        judged += usize::from(attempt.await.expect("it ran") == StatusCode::OK);
    }
    assert_eq!(judged, 6, "five are free and the sixth starts the wait");
}
