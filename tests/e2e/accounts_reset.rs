//! A new password by e-mail, and the first one by an invitation (OWASP ASVS 5.0 sections 6.3.8, 6.4).

use end_to_end::{
    World,
    browser::{Browser, email},
};
use reqwest::StatusCode;
use serde_json::json;
use standalone::demo::PASSWORD;

const RESET: &str = "/accounts/reset/";
const SIGN_UP: &str = "/accounts/sign-up/";
const NEW: &str = "tangerine otter 93";

/// The path of the link in the last mail.
fn link(world: &World) -> String {
    let mails = world.mails();
    let text = &mails.last().expect("a mail").text;
    let line = text.lines().find(|line| line.starts_with(&world.base)).unwrap_or_else(|| panic!("no link: {text}"));
    line[world.base.len()..].to_owned()
}

async fn choose(browser: &Browser<'_>, link: &str, new: &str) -> end_to_end::reply::Reply {
    let token = link.split("token=").nth(1).expect("a token");
    browser.fill(link, &[("token", token), ("new_password", new), ("repeated", new)]).await
}

#[tokio::test]
async fn the_answer_is_the_same_with_and_without_an_account_and_only_an_account_gets_mail() {
    let world = World::new().await;
    world.sql("UPDATE app_user SET is_active = false WHERE email = 'member_megan@example.com'").await;
    world.sql("UPDATE app_user SET password_hash = NULL WHERE email = 'viewer_victor@example.com'").await;
    let mut texts = Vec::new();
    for name in ["nobody", "member_megan", "viewer_victor", "manager_mary"] {
        assert_eq!(world.mails().len(), 0, "before {name}");
        let end = world.audit_end().await;
        let reply = Browser::new(&world).fill(RESET, &[("email", &email(name))]).await;
        assert_eq!(reply.status, StatusCode::OK);
        texts.push(reply.text);
        assert_eq!(world.audit_after(end).await.len(), 1, "{name}");
    }
    texts.dedup();
    assert_eq!(texts.len(), 1);
    assert_eq!(world.mails()[0].to, email("manager_mary"));
}

#[tokio::test]
async fn a_link_works_once_and_everything_of_before_ends() {
    let world = World::new().await;
    let tokens = world.tokens("manager_mary").await;
    let before = Browser::signed_in(&world, "manager_mary").await;
    let browser = Browser::new(&world);
    browser.fill(RESET, &[("email", "Manager_Mary@EXAMPLE.com")]).await;
    let link = link(&world);
    let token = link.split("token=").nth(1).expect("a token").to_owned();
    assert_eq!(world.tables_with(&token).await, [""; 0], "only its hash is kept");
    for _ in 0..2 {
        assert_eq!(Browser::new(&world).get(&link).await.status, StatusCode::OK, "looking at it uses nothing");
    }
    assert!(choose(&browser, &link, "short").await.text.contains("at least 12"), "nor does a password that is refused");
    let reply = choose(&browser, &link, NEW).await;
    assert!(reply.text.contains("Your new password is saved"), "{}", reply.text);
    assert!(world.is_verified("manager_mary").await);
    assert!(!before.is_in().await);
    assert!(!world.accepts(tokens["access_token"].as_str().expect("a token")).await);
    assert_eq!(world.refresh(tokens["refresh_token"].as_str().expect("a token")).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(browser.get(&link).await.status, StatusCode::GONE);
    assert_eq!(browser.sign_in(&email("manager_mary"), PASSWORD, "/").await.status, StatusCode::OK);
    assert_eq!(browser.sign_in(&email("manager_mary"), NEW, "/").await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn a_used_an_old_and_a_made_up_link_are_refused_alike_and_recorded() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    browser.fill(RESET, &[("email", &email("manager_mary"))]).await;
    let link = link(&world);
    let page = browser.get(&link).await;
    let form_token = end_to_end::browser::form_token(&page);
    let token = link.split("token=").nth(1).expect("a token");
    let post = async |token: &str| {
        let form =
            [("csrfmiddlewaretoken", form_token.as_str()), ("token", token), ("new_password", NEW), ("repeated", NEW)];
        browser.post("/accounts/reset/confirm/", &form).await
    };
    let minutes = world
        .count("SELECT round(extract(epoch FROM expires_at - clock_timestamp()) / 60)::bigint FROM account_link")
        .await;
    assert_eq!(minutes, 30);
    world.sql("UPDATE account_link SET expires_at = clock_timestamp()").await;
    let old = post(token).await;
    let made_up = post(&"x".repeat(43)).await;
    assert_eq!((old.status, made_up.status), (StatusCode::GONE, StatusCode::GONE));
    assert_eq!(old.text, made_up.text);
    let verify = browser.get(&link.replace("reset/confirm", "verify")).await;
    assert_eq!(verify.status, StatusCode::GONE, "a link is for one purpose");
    let denied = "SELECT count(*) FROM audit_event WHERE resource_type = 'Password' AND outcome = 'denied'";
    assert_eq!(world.count(denied).await, 2);
}

#[tokio::test]
async fn asking_again_and_again_has_to_wait_but_not_for_everybody() {
    let world = World::new().await;
    let ask = async |name: &str| Browser::new(&world).fill(RESET, &[("email", &email(name))]).await;
    for _ in 0..4 {
        assert_eq!(ask("nobody").await.status, StatusCode::OK);
    }
    let reply = ask("nobody").await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u32 = reply.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(ask("manager_mary").await.status, StatusCode::OK);
}

#[tokio::test]
async fn with_an_invitation_and_the_own_address_a_patient_chooses_the_first_password() {
    let world = World::new().await;
    world.sql("UPDATE app_user SET password_hash = NULL WHERE email = 'll_patient_peter@example.com'").await;
    let invited =
        world.post("manager_mary", "/api/v1/invitation", &json!({ "patientId": 40001, "client_id": 1 })).await.1;
    let (code, peter) = (invited["token"].as_str().expect("a token"), email("ll_patient_peter"));
    let browser = Browser::new(&world);
    let mut texts = Vec::new();
    for (code, address) in [(code, email("ll_patient_pamela")), (&"a".repeat(32), peter.clone()), (code, peter.clone())]
    {
        assert_eq!(world.mails().len(), 0);
        let reply = browser.fill(SIGN_UP, &[("invitation", code), ("email", &address)]).await;
        texts.push(reply.text);
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "the same answer, whether or not they belong together");
    assert_eq!(world.mails()[0].to, peter);
    let link = link(&world);
    assert!(link.starts_with("/accounts/verify/"));
    let reply = choose(&browser, &link, NEW).await;
    assert!(reply.text.contains("verified"), "{}", reply.text);
    assert_eq!(browser.sign_in(&peter, NEW, "/").await.status, StatusCode::FOUND);
    let verified = "SELECT count(*) FROM app_user WHERE email_verified_at IS NOT NULL";
    assert_eq!(world.count(verified).await, 1);
    assert_eq!(
        world.count("SELECT count(*) FROM invitation WHERE status = 'issued'").await,
        1,
        "it is still the app's"
    );
}

#[tokio::test]
async fn an_invitation_never_changes_a_password_and_is_worth_nothing_when_it_ended() {
    let world = World::new().await;
    let invited =
        world.post("manager_mary", "/api/v1/invitation", &json!({ "patientId": 40001, "client_id": 1 })).await.1;
    let (code, peter) = (invited["token"].as_str().expect("a token"), email("ll_patient_peter"));
    let ask = async || Browser::new(&world).fill(SIGN_UP, &[("invitation", code), ("email", &peter)]).await;
    ask().await;
    let mails = world.mails();
    assert!(mails[0].text.contains("have a password") && !mails[0].text.contains("token="), "{}", mails[0].text);
    assert_eq!(world.count("SELECT count(*) FROM account_link").await, 0);
    world.sql("UPDATE app_user SET password_hash = NULL WHERE email = 'll_patient_peter@example.com'").await;
    for ended in ["status = 'cancelled'", "status = 'issued', expires_at = clock_timestamp()"] {
        world.sql(&format!("UPDATE invitation SET {ended}")).await;
        ask().await;
        assert_eq!(world.mails().len(), 1, "{ended}");
    }
}

// ASVS 6.4.3
#[tokio::test]
async fn a_new_password_keeps_the_second_factor() {
    let world = World::new().await;
    let (secret, _) = Browser::signed_in(&world, "manager_mary").await.enrol().await;
    world.sql("UPDATE totp_factor SET last_step = 0").await;
    let browser = Browser::new(&world);
    browser.fill(RESET, &[("email", &email("manager_mary"))]).await;
    let reply = choose(&browser, &link(&world), NEW).await;
    assert!(reply.text.contains("Your new password is saved"), "{}", reply.text);
    assert!(!browser.is_in().await, "the link signs nobody in");
    let reply = browser.sign_in(&email("manager_mary"), NEW, "/").await;
    assert_eq!(reply.header("location"), "/accounts/second-factor/?next=%2F");
    assert!(!browser.is_in().await);
    let code = end_to_end::totp::code(&secret, 0);
    assert_eq!(browser.second_step(&code).await.status, StatusCode::FOUND);
}
