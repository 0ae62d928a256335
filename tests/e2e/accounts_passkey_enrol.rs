//! Adding and removing passkeys (Web Authentication Level 3 section 7.1).

use end_to_end::{
    World,
    authenticator::{Passkey, options},
    browser::{Browser, email},
    totp::{hidden, recovery_codes},
};
use reqwest::StatusCode;
use standalone::demo::PASSWORD;

const ENROL: &str = "/accounts/second-factor/passkey/enrol/";
const MANAGE: &str = "/accounts/second-factor/manage/";

#[tokio::test]
async fn a_super_admin_may_begin_with_a_passkey() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    let reply = browser.sign_in(&email("admin"), PASSWORD, "/o/").await;
    let page = browser.get(reply.header("location")).await;
    assert!(page.text.contains("href=\"/accounts/second-factor/passkey/enrol/?next=%2Fo%2F\""), "{}", page.text);
    let mut passkey = Passkey::new(&world.base);
    let reply = browser.add_passkey(&mut passkey, "Security key").await;
    assert_eq!(recovery_codes(&reply).len(), 10, "{}", reply.text);
    assert!(browser.is_in().await);
    let methods = world.sql("SELECT methods FROM login_session").await;
    assert_eq!(methods[0].get::<_, Vec<String>>(0), ["pwd", "pop", "mfa"]);
}

#[tokio::test]
async fn the_password_alone_adds_no_passkey_where_there_is_a_factor() {
    let world = World::new().await;
    Browser::signed_in(&world, "manager_mary").await.enrol().await;
    let browser = Browser::new(&world);
    browser.sign_in(&email("manager_mary"), PASSWORD, "/").await;
    let reply = browser.get(ENROL).await;
    assert!(reply.header("location").starts_with("/accounts/login/"), "{} {}", reply.status, reply.text);
}

#[tokio::test]
async fn of_two_first_factors_at_the_same_time_one_counts() {
    let world = World::new().await;
    let mut browsers = Vec::new();
    for _ in 0..2 {
        let browser = Browser::new(&world);
        browser.sign_in(&email("admin"), PASSWORD, "/").await;
        let page = browser.fill(ENROL, &[("next", "/"), ("name", "Key")]).await;
        browsers.push((browser, page));
    }
    let mut passkeys = [Passkey::new(&world.base), Passkey::new(&world.base)];
    let answers: Vec<String> =
        passkeys.iter_mut().zip(&browsers).map(|(one, (_, page))| one.create(&options(page))).collect();
    let send = |at: usize| {
        let (browser, page) = &browsers[at];
        browser.answer_passkey(page, ENROL, &answers[at])
    };
    let (first, second) = tokio::join!(send(0), send(1));
    let added = [first, second].iter().filter(|reply| reply.text.contains("Your passkey is added")).count();
    assert_eq!((added, world.count("SELECT count(*) FROM passkey").await), (1, 1));
}

// ASVS 7.5.1
#[tokio::test]
async fn a_passkey_is_added_after_a_recent_sign_in_only() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let page = browser.fill(ENROL, &[("next", "/"), ("name", "Key")]).await;
    let answer = Passkey::new(&world.base).create(&options(&page));
    world.sql("UPDATE login_session SET started_at = started_at - interval '10 minutes'").await;
    for reply in [browser.get(ENROL).await, browser.answer_passkey(&page, ENROL, &answer).await] {
        assert!(reply.header("location").ends_with("&again=1"), "{}: {}", reply.status, reply.text);
    }
    assert_eq!(world.count("SELECT count(*) FROM passkey").await, 0);
}

// ASVS 7.5.1
#[tokio::test]
async fn a_session_without_the_factor_that_the_account_has_changes_nothing() {
    let world = World::new().await;
    let old = Browser::signed_in(&world, "manager_mary").await;
    Browser::signed_in(&world, "manager_mary").await.enrol().await;
    for page in [ENROL, "/accounts/second-factor/enrol/", "/accounts/password/"] {
        let reply = old.get(page).await;
        assert!(reply.header("location").ends_with("&again=1"), "{page}: {}", reply.text);
    }
    let reply = old.fill(MANAGE, &[("authenticator", "1")]).await;
    assert!(reply.header("location").ends_with("&again=1"), "{}", reply.text);
    assert_eq!(world.count("SELECT count(*) FROM totp_factor").await, 1);
}

#[tokio::test]
async fn an_answer_that_is_wrong_adds_nothing() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let ask = || browser.fill(ENROL, &[("next", "/"), ("name", "Key")]);
    let page = ask().await;
    let mut foreign = Passkey::new("https://evil.example");
    let answer = foreign.create(&options(&page));
    assert!(browser.answer_passkey(&page, ENROL, &answer).await.text.contains("could not be used"));
    let mut passkey = Passkey::new(&world.base);
    let answer = passkey.create(&options(&page));
    assert!(browser.answer_passkey(&page, ENROL, &answer).await.text.contains("could not be used"), "used up");
    assert!(browser.answer_passkey(&ask().await, ENROL, "{}").await.text.contains("could not be used"));
    let denied = "SELECT count(*) FROM audit_event WHERE resource_type = 'Passkey' AND outcome = 'denied'";
    assert_eq!(world.count(denied).await, 3);
    assert_eq!(world.count("SELECT count(*) FROM passkey").await, 0);
    for name in ["", " ", &"x".repeat(61)] {
        let reply = browser.fill(ENROL, &[("next", "/"), ("name", name)]).await;
        assert!(reply.text.contains("<a href=\"#name\">"), "{name:?}: {}", reply.text);
    }
}

#[tokio::test]
async fn a_credential_is_registered_once_and_a_device_has_one_for_an_account() {
    let world = World::new().await;
    let mary = Browser::signed_in(&world, "manager_mary").await;
    let mut passkey = Passkey::new(&world.base);
    mary.add_passkey(&mut passkey, "Key").await;
    let page = mary.fill(ENROL, &[("next", "/"), ("name", "Key")]).await;
    assert_eq!(options(&page)["excludeCredentials"][0]["id"], passkey.id().as_str());
    assert_eq!(options(&page)["user"]["id"], passkey.owner.as_str(), "an account is always known by the same");
    let other = Browser::signed_in(&world, "manager_mark").await;
    let reply = other.add_passkey(&mut passkey, "Key").await;
    assert!(reply.text.contains("registered already"), "{}", reply.text);
    assert_eq!(world.count("SELECT count(*) FROM passkey").await, 1);
    let owner = "SELECT count(*) FROM passkey_owner o JOIN app_user u ON u.id = o.user_id WHERE length(handle) = 32";
    assert_eq!(world.count(owner).await, 2);
}

#[tokio::test]
async fn passkeys_are_listed_and_removed_and_the_codes_end_with_the_last_factor() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    browser.enrol().await;
    browser.add_passkey(&mut Passkey::new(&world.base), "Blue <key>").await;
    let page = browser.get(MANAGE).await;
    assert!(page.text.contains("Blue &lt;key&gt;") && page.text.contains("on one device"), "{}", page.text);
    let number = hidden(&page, "passkey");
    let mark = Browser::signed_in(&world, "manager_mark").await;
    mark.enrol().await;
    assert_eq!(mark.fill(MANAGE, &[("passkey", &number)]).await.status, StatusCode::NOT_FOUND, "of another");
    let reply = browser.fill(MANAGE, &[("authenticator", "1")]).await;
    assert_eq!(reply.header("location"), "/accounts/second-factor/manage/?done=1");
    let left = "SELECT count(*) FROM recovery_code r JOIN app_user u ON u.id = r.user_id
                 WHERE u.email = 'manager_mary@example.com'";
    assert_eq!(world.count(left).await, 10, "the codes are of the account, not of the app");
    assert!(browser.fill(MANAGE, &[("passkey", &number)]).await.text.contains("is off"));
    assert_eq!((world.count("SELECT count(*) FROM passkey").await, world.count(left).await), (0, 0));
    let removed = "SELECT count(*) FROM audit_event WHERE resource_type = 'Passkey' AND action = 'delete'
                      AND outcome = 'allowed'";
    assert_eq!(world.count(removed).await, 1);
}

#[tokio::test]
async fn the_last_factor_stays_where_one_is_required_whatever_it_is() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    browser.sign_in(&email("admin"), PASSWORD, "/").await;
    browser.enrol().await;
    browser.add_passkey(&mut Passkey::new(&world.base), "Key").await;
    let number = hidden(&browser.get(MANAGE).await, "passkey");
    assert_eq!(browser.fill(MANAGE, &[("authenticator", "1")]).await.status, StatusCode::FOUND);
    let page = browser.get(MANAGE).await;
    assert!(page.text.contains("the last one cannot be removed") && !page.text.contains("Remove</button>"));
    assert_eq!(browser.fill(MANAGE, &[("passkey", &number)]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.count("SELECT count(*) FROM passkey").await, 1);
    let denied = "SELECT count(*) FROM audit_event WHERE resource_type = 'Passkey' AND outcome = 'denied'";
    assert_eq!(world.count(denied).await, 1);
}

#[tokio::test]
async fn the_functions_login_cannot_change_whose_a_passkey_is_or_by_which_key() {
    let world = World::new().await;
    let client = world.as_function().await;
    for statement in [
        "UPDATE passkey SET user_id = 10001",
        "UPDATE passkey SET public_key = ''",
        "UPDATE passkey SET credential_id = ''",
        "UPDATE passkey_owner SET handle = ''",
        "DELETE FROM passkey_owner",
        "INSERT INTO passkey (created_at) VALUES (now())",
    ] {
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("42501"), "{statement}");
    }
}
