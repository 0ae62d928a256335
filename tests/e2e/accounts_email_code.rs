//! A one-time code by e-mail, for clients that ask for it (OWASP ASVS 5.0 section 6.6).

use end_to_end::{
    World,
    browser::{Browser, CLIENT, location},
};
use reqwest::{Method, StatusCode};
use serde_json::json;

const PAGE: &str = "/accounts/email-code/";

async fn world() -> World {
    let world = World::new().await;
    let rows = world.sql(&format!("SELECT id FROM oauth_client WHERE client_id = '{CLIENT}'")).await;
    let path = format!("/api/v1/clients/{}", rows[0].get::<_, i32>(0));
    let (status, client) = world.send("admin", Method::PATCH, &path, &json!({ "emailCode": true })).await;
    assert_eq!((status, &client["emailCode"]), (StatusCode::OK, &json!(true)), "{client}");
    world
}

/// The code in the last mail.
fn mailed(world: &World) -> String {
    let text = world.mails().last().expect("a mail").text.clone();
    text.lines().map(str::trim).find(|line| line.len() == 8 && line.parse::<u32>().is_ok()).expect("a code").to_owned()
}

async fn issues_code(world: &World, browser: &Browser<'_>) -> bool {
    let (_, parameters) = location(&browser.get(&world.authorize_path().await).await);
    parameters.contains_key("code")
}

// ASVS 6.3.6
#[tokio::test]
async fn a_code_by_email_is_no_factor() {
    let world = world().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let (_, parameters) = location(&browser.get(&world.authorize_path().await).await);
    let next = &parameters["next"];
    browser.fill(PAGE, &[("next", next)]).await;
    browser.fill(PAGE, &[("next", next), ("code", &mailed(&world))]).await;
    assert!(issues_code(&world, &browser).await);
    let counted =
        "SELECT count(*) FROM (SELECT methods FROM oauth_grant ORDER BY id DESC LIMIT 1) g WHERE methods @> '{mfa}'";
    assert_eq!(world.count(counted).await, 0);
    world.sql("UPDATE organization SET requires_second_factor = true WHERE id = 20003").await;
    assert!(!browser.is_in().await, "where two factors are needed it does not help");
}

#[tokio::test]
async fn a_client_that_asks_for_it_gets_no_authorization_before_the_code_is_typed() {
    let world = world().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let reply = browser.get(&world.authorize_path().await).await;
    let (to, parameters) = location(&reply);
    assert_eq!(to, PAGE);
    let next = &parameters["next"];
    assert!(next.starts_with("/o/authorize/?"), "{next}");
    assert_eq!(browser.get(reply.header("location")).await.status, StatusCode::OK);
    assert_eq!(world.mails().len(), 0, "looking at the page sends nothing");
    browser.fill(PAGE, &[("next", next)]).await;
    let code = mailed(&world);
    assert!(!world.is_verified("manager_mary").await);
    assert_eq!(world.tables_with(&code).await, [""; 0], "only a hash is kept");
    let end = world.audit_end().await;
    let typed = browser.fill(PAGE, &[("next", next), ("code", &code)]).await;
    assert_eq!((typed.status, typed.header("location")), (StatusCode::FOUND, next.as_str()), "{}", typed.text);
    assert_eq!(world.audit_after(end).await[0].resource_type, "EmailCode");
    assert!(world.is_verified("manager_mary").await);
    let (_, parameters) = location(&browser.get(next).await);
    assert!(parameters.contains_key("code"), "{parameters:?}");
}

#[tokio::test]
async fn who_asks_silently_is_told_that_nobody_is_signed_in() {
    let world = world().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let (_, parameters) = location(&browser.get(&format!("{}&prompt=none", world.authorize_path().await)).await);
    assert_eq!(parameters.get("error").map(String::as_str), Some("login_required"));
}

#[tokio::test]
async fn a_code_belongs_to_its_browser_and_works_once() {
    let world = world().await;
    let (mine, other) =
        (Browser::signed_in(&world, "manager_mary").await, Browser::signed_in(&world, "manager_mary").await);
    mine.fill(PAGE, &[]).await;
    let code = mailed(&world);
    assert_eq!(other.fill(PAGE, &[("code", &code)]).await.status, StatusCode::OK);
    assert!(!issues_code(&world, &other).await);
    assert_eq!(mine.fill(PAGE, &[("code", &code)]).await.status, StatusCode::FOUND);
    assert!(issues_code(&world, &mine).await);
    assert_eq!(mine.fill(PAGE, &[("code", &code)]).await.status, StatusCode::OK, "used up");
}

#[tokio::test]
async fn a_code_ends_after_five_tries_after_ten_minutes_and_with_the_next_one() {
    let world = world().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let accepted = async |code: &str| browser.fill(PAGE, &[("code", code)]).await.status == StatusCode::FOUND;
    browser.fill(PAGE, &[]).await;
    let first = mailed(&world);
    for _ in 0..5 {
        assert!(!accepted("00000000").await);
    }
    assert!(!accepted(&first).await, "the sixth try");
    browser.fill(PAGE, &[]).await;
    let second = mailed(&world);
    let minutes = "SELECT round(extract(epoch FROM expires_at - clock_timestamp()) / 60)::bigint FROM email_code";
    assert_eq!(world.count(minutes).await, 10);
    assert!(!accepted(&first).await);
    world.sql("UPDATE email_code SET expires_at = clock_timestamp()").await;
    assert!(!accepted(&second).await);
    browser.fill(PAGE, &[]).await;
    assert!(accepted(&mailed(&world)).await);
    let denied = "SELECT count(*) FROM audit_event WHERE resource_type = 'EmailCode' AND outcome = 'denied'";
    assert_eq!(world.count(denied).await, 8);
}
