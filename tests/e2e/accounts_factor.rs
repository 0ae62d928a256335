//! Second factors: who needs one, and what a code is worth (RFC 6238, OWASP ASVS 5.0 chapter V6.5).

use end_to_end::{
    World,
    browser::{Browser, email},
    totp::{code, hidden, recovery_codes},
};
use reqwest::StatusCode;
use standalone::demo::PASSWORD;

const STEP: &str = "/accounts/second-factor/";
const ENROL: &str = "/accounts/second-factor/enrol/";
const MANAGE: &str = "/accounts/second-factor/manage/";

/// Somebody with an authenticator: its secret and the recovery codes.
async fn enrolled(world: &World, user: &str) -> (String, Vec<String>) {
    let browser = Browser::signed_in(world, user).await;
    let (secret, reply) = browser.enrol().await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let codes = recovery_codes(&reply);
    // The code that confirmed it is used up; the tests need not wait for the next one.
    world.sql("UPDATE totp_factor SET last_step = 0").await;
    (secret, codes)
}

/// A browser in which the password was right.
async fn after_password<'a>(world: &'a World, user: &str) -> Browser<'a> {
    let browser = Browser::new(world);
    let reply = browser.sign_in(&email(user), PASSWORD, "/").await;
    assert_eq!(reply.header("location"), "/accounts/second-factor/?next=%2F");
    browser
}

#[tokio::test]
async fn a_super_admin_gets_no_session_before_a_second_factor_is_set_up() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    let reply = browser.sign_in(&email("admin"), PASSWORD, "/o/").await;
    assert_eq!(reply.header("location"), "/accounts/second-factor/enrol/?next=%2Fo%2F");
    assert_eq!(browser.cookie("jhe_session"), None);
    assert!(!browser.is_in().await);
    let (_, reply) = browser.enrol().await;
    assert_eq!(recovery_codes(&reply).len(), 10, "{}", reply.text);
    assert!(browser.is_in().await);
    let methods = world.sql("SELECT methods FROM login_session").await;
    assert_eq!(methods[0].get::<_, Vec<String>>(0), ["pwd", "otp", "mfa"]);
    assert!(browser.get(MANAGE).await.text.contains("the last one cannot be removed"));
}

#[tokio::test]
async fn the_rule_for_super_admins_can_be_turned_off() {
    let world = World::with(&[("REQUIRE_SECOND_FACTOR_FOR_SUPER_ADMINS", "false")]).await;
    assert!(Browser::signed_in(&world, "admin").await.is_in().await);
}

#[tokio::test]
async fn an_organization_can_ask_its_members_for_one() {
    let world = World::new().await;
    world.sql("UPDATE organization SET requires_second_factor = true WHERE id = 20003").await;
    for (user, expected) in [("manager_mary", "/accounts/second-factor/enrol/?next=%2F"), ("manager_mark", "/")] {
        let reply = Browser::new(&world).sign_in(&email(user), PASSWORD, "/").await;
        assert_eq!(reply.header("location"), expected, "{user}");
    }
}

#[tokio::test]
async fn who_has_one_needs_a_right_code_and_there_is_no_session_before() {
    let world = World::new().await;
    let (secret, _) = enrolled(&world, "manager_mary").await;
    let browser = after_password(&world, "manager_mary").await;
    assert!(!browser.is_in().await);
    let end = world.audit_end().await;
    let wrong = browser.second_step("000000x").await;
    assert!(wrong.text.contains("<a href=\"#code\">"), "{}", wrong.text);
    let events = world.audit_after(end).await;
    assert_eq!((events[0].resource_type.as_str(), events[0].outcome.as_str()), ("SecondFactor", "denied"));
    let reply = browser.second_step(&code(&secret, 0)).await;
    assert_eq!(reply.status, StatusCode::FOUND, "{}", reply.text);
    assert!(browser.is_in().await);
    assert_eq!(browser.cookie("jhe_challenge"), None);
    assert_eq!(world.count("SELECT count(*) FROM login_challenge").await, 0);
}

// ASVS 6.5.1
#[tokio::test]
async fn a_code_works_once_and_only_around_its_time() {
    let world = World::new().await;
    let (secret, _) = enrolled(&world, "manager_mary").await;
    let early = code(&secret, 3);
    assert_eq!(after_password(&world, "manager_mary").await.second_step(&early).await.status, StatusCode::OK);
    let now = code(&secret, 0);
    assert_eq!(after_password(&world, "manager_mary").await.second_step(&now).await.status, StatusCode::FOUND);
    assert_eq!(after_password(&world, "manager_mary").await.second_step(&now).await.status, StatusCode::OK, "again");
}

// ASVS 6.5.1
#[tokio::test]
async fn a_recovery_code_works_once_and_is_kept_as_a_hash() {
    let world = World::new().await;
    let (secret, codes) = enrolled(&world, "manager_mary").await;
    for text in [&codes[0], &codes[0].replace('-', ""), &secret.replace(' ', "")] {
        assert_eq!(world.tables_with(text).await, [""; 0]);
    }
    let typed = codes[0].to_lowercase();
    assert_eq!(after_password(&world, "manager_mary").await.second_step(&typed).await.status, StatusCode::FOUND);
    assert_eq!(after_password(&world, "manager_mary").await.second_step(&typed).await.status, StatusCode::OK);
    let other = after_password(&world, "manager_mary").await.second_step(&codes[1]).await;
    assert_eq!(other.status, StatusCode::FOUND);
    let used = "SELECT count(*) FROM audit_event WHERE resource_type = 'RecoveryCode' AND outcome = 'allowed'";
    assert_eq!(world.count(used).await, 2);
}

// ASVS 6.3.1
#[tokio::test]
async fn guessing_codes_slows_down() {
    let world = World::new().await;
    let (secret, _) = enrolled(&world, "manager_mary").await;
    let browser = after_password(&world, "manager_mary").await;
    for _ in 0..6 {
        assert_eq!(browser.second_step("000000x").await.status, StatusCode::OK);
    }
    let reply = browser.second_step(&code(&secret, 0)).await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!reply.header("retry-after").is_empty() && reply.text.contains("seconds and try again"), "{}", reply.text);
    world.sql("UPDATE login_failure SET last_failure = last_failure - interval '1 minute'").await;
    assert_eq!(browser.second_step(&code(&secret, 0)).await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn the_password_alone_never_replaces_an_authenticator() {
    let world = World::new().await;
    enrolled(&world, "manager_mary").await;
    let browser = after_password(&world, "manager_mary").await;
    let reply = browser.get(ENROL).await;
    assert!(reply.header("location").starts_with("/accounts/login/"), "{} {}", reply.status, reply.text);
    assert_eq!(browser.get(MANAGE).await.status, StatusCode::FOUND);
}

// ASVS 6.5.6, 7.5.1
#[tokio::test]
async fn setting_one_up_and_turning_it_off_need_a_recent_sign_in() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let age = |minutes: u32| format!("UPDATE login_session SET started_at = started_at - interval '{minutes} minutes'");
    world.sql(&age(10)).await;
    let again = "/accounts/login/?next=%2Faccounts%2Fsecond-factor%2Fenrol%2F%3Fnext%3D%252F&again=1";
    assert_eq!(browser.get(ENROL).await.header("location"), again);
    let page = browser.get(again).await;
    assert!(page.text.contains("value=\"manager_mary@example.com\""), "{}", page.text);
    let reply = browser.sign_in(&email("manager_mary"), PASSWORD, ENROL).await;
    assert_eq!(reply.header("location"), ENROL);
    let (_, reply) = browser.enrol().await;
    assert_eq!(recovery_codes(&reply).len(), 10);
    assert!(browser.get(MANAGE).await.text.contains("Authenticator app"));
    let methods = world.sql("SELECT methods FROM login_session").await;
    assert_eq!(methods[0].get::<_, Vec<String>>(0), ["pwd", "otp", "mfa"], "who set it up has it");
    world.sql(&age(10)).await;
    let reply = browser.fill(MANAGE, &[("authenticator", "1")]).await;
    assert!(reply.header("location").ends_with("&again=1"), "{}", reply.text);
    assert_eq!(world.count("SELECT count(*) FROM totp_factor").await, 1);
    world.sql("UPDATE login_session SET started_at = clock_timestamp()").await;
    assert!(browser.fill(MANAGE, &[("authenticator", "1")]).await.text.contains("is off"));
    assert_eq!(
        world.count("SELECT (SELECT count(*) FROM totp_factor) + (SELECT count(*) FROM recovery_code)").await,
        0
    );
    let kinds = "SELECT count(*) FROM audit_event WHERE resource_type = 'SecondFactor' AND outcome = 'allowed'
                  AND action IN ('create', 'delete')";
    assert_eq!(world.count(kinds).await, 2);
}

#[tokio::test]
async fn recovery_codes_can_be_made_anew() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let (_, reply) = browser.enrol().await;
    let old = recovery_codes(&reply);
    let new = recovery_codes(&browser.fill(MANAGE, &[("codes", "1")]).await);
    assert_eq!(new.len(), 10);
    for (code, status) in [(&old[0], StatusCode::OK), (&new[0], StatusCode::FOUND)] {
        assert_eq!(after_password(&world, "manager_mary").await.second_step(code).await.status, status);
    }
}

#[tokio::test]
async fn an_open_second_step_ends_with_its_time_and_belongs_to_its_browser() {
    let world = World::new().await;
    let (secret, _) = enrolled(&world, "manager_mary").await;
    let browser = after_password(&world, "manager_mary").await;
    let token = hidden(&browser.get(STEP).await, "csrfmiddlewaretoken");
    let stranger = Browser::new(&world);
    stranger.plant("jhe_challenge", &"x".repeat(43));
    let form = [("csrfmiddlewaretoken", token.as_str()), ("code", &code(&secret, 0))];
    assert!(stranger.post(STEP, &form).await.header("location").starts_with("/accounts/login/"));
    world.sql("UPDATE login_challenge SET expires_at = clock_timestamp()").await;
    let late = browser.post(STEP, &form).await;
    assert!(late.header("location").starts_with("/accounts/login/"), "{}", late.text);
    assert!(!browser.is_in().await);
}
