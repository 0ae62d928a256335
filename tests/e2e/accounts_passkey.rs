//! Signing in with passkeys (Web Authentication Level 3 section 7.2).

use end_to_end::{
    World,
    authenticator::{PRESENT, Passkey, options},
    browser::{Browser, email},
    reply::Reply,
    totp::{code, hidden, recovery_codes},
};
use reqwest::StatusCode;
use standalone::demo::PASSWORD;

const ALONE: &str = "/accounts/passkey/";
const STEP: &str = "/accounts/second-factor/";
const SECOND: &str = "/accounts/second-factor/passkey/";

/// A user with a passkey, and their recovery codes.
async fn registered(world: &World, user: &str) -> (Passkey, Vec<String>) {
    let mut passkey = Passkey::new(&world.base);
    let browser = Browser::signed_in(world, user).await;
    let reply = browser.add_passkey(&mut passkey, "My phone").await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    world.sql("DELETE FROM login_session").await;
    (passkey, recovery_codes(&reply))
}

/// A browser in which the password was right.
async fn after_password<'a>(world: &'a World, user: &str) -> Browser<'a> {
    let browser = Browser::new(world);
    let reply = browser.sign_in(&email(user), PASSWORD, "/").await;
    assert_eq!(reply.header("location"), "/accounts/second-factor/?next=%2F");
    browser
}

/// Completes a sign-in with a passkey.
async fn second_step(browser: &Browser<'_>, passkey: &mut Passkey) -> Reply {
    let page = browser.ask_passkey(STEP, SECOND, "/").await;
    let answer = passkey.get(&options(&page));
    browser.answer_passkey(&page, SECOND, &answer).await
}

/// The outcome and the reason of the last event.
async fn last_event(world: &World) -> (String, String) {
    let last = "SELECT outcome, coalesce(detail->>'reason', '') FROM audit_event ORDER BY id DESC LIMIT 1";
    let row = &world.sql(last).await[0];
    (row.get(0), row.get(1))
}

async fn methods(world: &World) -> Vec<String> {
    world.sql("SELECT methods FROM login_session").await[0].get(0)
}

#[tokio::test]
async fn a_passkey_alone_signs_its_owner_in_with_two_factors() {
    let world = World::new().await;
    let (mut passkey, _) = registered(&world, "manager_mary").await;
    let browser = Browser::new(&world);
    let page = browser.ask_passkey("/accounts/login/", ALONE, "/o/").await;
    let asked = options(&page);
    assert_eq!((&asked["userVerification"], &asked["rpId"]), (&"required".into(), &"localhost".into()));
    assert_eq!(asked["allowCredentials"], serde_json::json!([]), "nobody is known yet");
    let reply = browser.answer_passkey(&page, ALONE, &passkey.get(&asked)).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::FOUND, "/o/"), "{}", reply.text);
    assert!(browser.is_in().await);
    assert_eq!(methods(&world).await, ["pop", "user", "mfa"]);
    let kept = "SELECT count(*) FROM passkey WHERE use_count = 1 AND last_used_at IS NOT NULL AND NOT backed_up";
    assert_eq!(world.count(kept).await, 1);
    let used = "SELECT count(*) FROM audit_event WHERE resource_type = 'Passkey' AND action = 'execute'
                   AND outcome = 'allowed' AND actor_user_id = 10005";
    let mary = world.count("SELECT id::bigint FROM app_user WHERE email = 'manager_mary@example.com'").await;
    assert_eq!(world.count(&used.replace("10005", &mary.to_string())).await, 1);
}

#[tokio::test]
async fn after_a_password_a_touch_of_an_own_passkey_is_enough() {
    let world = World::new().await;
    let (mut passkey, _) = registered(&world, "manager_mary").await;
    let browser = after_password(&world, "manager_mary").await;
    assert!(!browser.is_in().await);
    let page = browser.ask_passkey(STEP, SECOND, "/").await;
    let asked = options(&page);
    assert_eq!(asked["allowCredentials"][0]["id"], passkey.id().as_str());
    assert_eq!(asked["userVerification"], "discouraged");
    passkey.flags = PRESENT;
    let reply = browser.answer_passkey(&page, SECOND, &passkey.get(&asked)).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::FOUND, "/"), "{}", reply.text);
    assert!(browser.is_in().await);
    assert_eq!(methods(&world).await, ["pwd", "pop", "mfa"]);
    assert_eq!(browser.cookie("jhe_challenge"), None);
}

#[tokio::test]
async fn who_has_an_authenticator_too_chooses() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let (secret, _) = browser.enrol().await;
    let mut passkey = Passkey::new(&world.base);
    let added = browser.add_passkey(&mut passkey, "My phone").await;
    assert!(!added.text.contains("Recovery codes"), "those of the authenticator count on: {}", added.text);
    world.sql("UPDATE totp_factor SET last_step = 0").await;
    let browser = after_password(&world, "manager_mary").await;
    let page = browser.get(STEP).await;
    assert!(page.text.contains("Six digits") && page.text.contains("Use a passkey"), "{}", page.text);
    assert_eq!(browser.second_step(&code(&secret, 0)).await.status, StatusCode::FOUND);
    let browser = after_password(&world, "manager_mary").await;
    assert_eq!(second_step(&browser, &mut passkey).await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn who_lost_the_only_passkey_has_recovery_codes() {
    let world = World::new().await;
    let (_, codes) = registered(&world, "manager_mary").await;
    assert_eq!(codes.len(), 10);
    let browser = after_password(&world, "manager_mary").await;
    let page = browser.get(STEP).await;
    assert!(page.text.contains("When you do not have your passkey. Each works once."), "{}", page.text);
    assert_eq!(browser.second_step(&codes[3]).await.status, StatusCode::FOUND);
    assert_eq!(after_password(&world, "manager_mary").await.second_step(&codes[3]).await.status, StatusCode::OK);
}

// ASVS 6.7.2
#[tokio::test]
async fn a_challenge_works_once_for_minutes_and_in_its_browser() {
    let world = World::new().await;
    let (mut passkey, _) = registered(&world, "manager_mary").await;
    let browser = Browser::new(&world);
    let page = browser.ask_passkey("/accounts/login/", ALONE, "/").await;
    let answer = passkey.get(&options(&page));
    let stranger = Browser::new(&world);
    let other = stranger.ask_passkey("/accounts/login/", ALONE, "/").await;
    assert_ne!(options(&other)["challenge"], options(&page)["challenge"]);
    assert_eq!(stranger.answer_passkey(&other, ALONE, &answer).await.status, StatusCode::OK);
    assert_eq!(last_event(&world).await, ("denied".to_owned(), "challenge".to_owned()));
    assert_eq!(browser.answer_passkey(&page, ALONE, &answer).await.status, StatusCode::FOUND);
    assert_eq!(browser.answer_passkey(&page, ALONE, &answer).await.status, StatusCode::OK, "again");
    assert_eq!(last_event(&world).await.1, "challenge");
    let late = browser.ask_passkey("/accounts/login/", ALONE, "/").await;
    let left = "SELECT count(*) FROM passkey_challenge WHERE expires_at <= clock_timestamp() + interval '5 minutes'";
    assert_eq!(world.count(left).await, 1);
    world.sql("UPDATE passkey_challenge SET expires_at = clock_timestamp()").await;
    let answer = passkey.get(&options(&late));
    assert_eq!(browser.answer_passkey(&late, ALONE, &answer).await.status, StatusCode::OK, "too late");
    for text in [options(&late)["challenge"].as_str().unwrap(), options(&page)["challenge"].as_str().unwrap()] {
        assert_eq!(world.tables_with(text).await, [""; 0], "a challenge is kept as a hash");
    }
}

#[tokio::test]
async fn a_use_that_is_wrong_in_anything_is_refused_and_only_the_audit_says_why() {
    type Change = fn(&mut Passkey);
    let world = World::new().await;
    let (mut passkey, _) = registered(&world, "manager_mary").await;
    world.sql("UPDATE passkey SET use_count = 100").await;
    passkey.count = 200;
    let table: [(Change, &str); 6] = [
        (|p| p.origin = "https://evil.example".to_owned(), "origin"),
        (|p| p.flags = PRESENT, "verification"),
        (|p| p.flags = 0x04, "presence"),
        (|p| p.flags |= 0x08, "backup"),
        (|p| p.count = 99, "counter"),
        (|p| p.owner = "AAAA".to_owned(), "owner"),
    ];
    let (origin, owner) = (passkey.origin.clone(), passkey.owner.clone());
    for (change, reason) in table {
        change(&mut passkey);
        let reply = Browser::new(&world).sign_in_by(&mut passkey, "/").await;
        assert_eq!(reply.status, StatusCode::OK, "{reason}");
        assert!(reply.text.contains("This passkey could not be used"), "{reason}: {}", reply.text);
        assert_eq!(last_event(&world).await, ("denied".to_owned(), reason.to_owned()));
        (passkey.origin, passkey.owner, passkey.count) = (origin.clone(), owner.clone(), 200);
        passkey.flags = 0x05;
    }
    assert_eq!(world.count("SELECT count(*) FROM login_session").await, 0);
    assert_eq!(Browser::new(&world).sign_in_by(&mut passkey, "/").await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn nobody_completes_a_sign_in_with_the_passkey_of_another() {
    let world = World::new().await;
    let (mut of_mark, _) = registered(&world, "manager_mark").await;
    registered(&world, "manager_mary").await;
    let browser = after_password(&world, "manager_mary").await;
    assert_eq!(second_step(&browser, &mut of_mark).await.status, StatusCode::OK);
    assert_eq!(last_event(&world).await, ("denied".to_owned(), "owner".to_owned()));
    assert!(!browser.is_in().await);
}

#[tokio::test]
async fn a_passkey_that_is_removed_or_of_a_closed_account_is_worth_nothing() {
    let world = World::new().await;
    let (mut passkey, _) = registered(&world, "manager_mary").await;
    world.sql("UPDATE app_user SET is_active = false WHERE email = 'manager_mary@example.com'").await;
    assert_eq!(Browser::new(&world).sign_in_by(&mut passkey, "/").await.status, StatusCode::OK);
    assert_eq!(last_event(&world).await.1, "credential");
    world.sql("UPDATE app_user SET is_active = true").await;
    assert_eq!(Browser::new(&world).sign_in_by(&mut passkey, "/").await.status, StatusCode::FOUND);
    world.sql("DELETE FROM passkey").await;
    assert_eq!(Browser::new(&world).sign_in_by(&mut passkey, "/").await.status, StatusCode::OK);
}

// ASVS 6.3.1
#[tokio::test]
async fn one_network_cannot_ask_for_challenges_without_end() {
    let world = World::new().await;
    let (mut passkey, _) = registered(&world, "manager_mary").await;
    let browser = Browser::new(&world);
    let token = hidden(&browser.get("/accounts/login/").await, "csrfmiddlewaretoken");
    let form = [("csrfmiddlewaretoken", token.as_str()), ("next", "/")];
    let ask = || browser.post(ALONE, &form);
    for _ in 0..51 {
        assert_eq!(ask().await.status, StatusCode::OK);
    }
    assert_eq!(ask().await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(world.count("SELECT count(*) FROM passkey_challenge").await, 1, "one for each browser");
    world.sql("UPDATE login_failure SET last_failure = last_failure - interval '10 minutes'").await;
    assert_eq!(Browser::new(&world).sign_in_by(&mut passkey, "/").await.status, StatusCode::FOUND);
    for _ in 0..10 {
        assert_eq!(ask().await.status, StatusCode::OK, "a success clears the count");
    }
}

#[tokio::test]
async fn only_the_pages_that_ask_for_a_passkey_may_have_a_script_and_only_ours() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    let asks = browser.ask_passkey("/accounts/login/", ALONE, "/").await;
    let policy = asks.header("content-security-policy");
    assert!(policy.contains("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(asks.text.contains("<noscript>") && asks.text.contains("Sign in in another way"), "{}", asks.text);
    assert_eq!(asks.text.matches("<script").count(), 1);
    let (_, rest) = asks.text.split_once("<script src=\"").expect("a script");
    let script = browser.get(rest.split('"').next().unwrap_or_default()).await;
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(script.header("x-content-type-options"), "nosniff");
    assert!(script.text.contains("navigator.credentials"));
    for page in ["/accounts/login/", "/accounts/passkey/script.js"] {
        let policy = browser.get(page).await.header("content-security-policy").to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{page}: {policy}");
    }
    assert!(!browser.get("/accounts/login/").await.text.contains("<script"));
}

#[tokio::test]
async fn the_forms_are_for_the_browser_and_the_page_that_they_were_made_for() {
    let world = World::new().await;
    registered(&world, "manager_mary").await;
    let browser = after_password(&world, "manager_mary").await;
    for path in [ALONE, SECOND, "/accounts/second-factor/passkey/enrol/"] {
        let reply = browser.post(path, &[("csrfmiddlewaretoken", "x"), ("next", "/")]).await;
        let is_refused =
            reply.status == StatusCode::FORBIDDEN || reply.header("location").starts_with("/accounts/login/");
        assert!(is_refused, "{path}: {} {}", reply.status, reply.text);
    }
    for (path, to) in [(ALONE, "/accounts/login/?next=%2Fo%2F"), (SECOND, "/accounts/second-factor/?next=%2Fo%2F")] {
        assert_eq!(browser.get(&format!("{path}?next=/o/")).await.header("location"), to);
    }
}
