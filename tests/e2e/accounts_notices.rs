//! The mails that tell people of changes to how they sign in, and of somebody who tries to (OWASP ASVS 5.0 sections 6.3.5 and
//! 6.3.7).

use end_to_end::{
    World,
    authenticator::{Passkey, options},
    browser::{Browser, email},
    totp::{hidden, recovery_codes},
};
use reqwest::StatusCode;
use standalone::demo::PASSWORD;

const MANAGE: &str = "/accounts/second-factor/manage/";
const NEW: &str = "tangerine otter 93";

/// The subjects of all mails so far. All go to Mary.
fn subjects(world: &World) -> Vec<String> {
    let mails = world.mails();
    assert!(mails.iter().all(|mail| mail.to == email("manager_mary")), "{mails:?}");
    mails.into_iter().map(|mail| mail.subject).collect()
}

async fn forget_delays(world: &World) {
    world.sql("UPDATE login_failure SET last_failure = last_failure - interval '20 minutes'").await;
}

// ASVS 6.3.7
#[tokio::test]
async fn each_change_is_told_once_and_without_any_secret() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let mut expected: Vec<&str> = Vec::new();
    let (secret, page) = browser.enrol().await;
    expected.push("An authenticator app was set up");
    assert_eq!(subjects(&world), expected);
    let mut codes = recovery_codes(&page);
    browser.add_passkey(&mut Passkey::new(&world.base), "Key").await;
    expected.push("A passkey was added");
    assert_eq!(subjects(&world), expected);
    codes.extend(recovery_codes(&browser.fill(MANAGE, &[("codes", "1")]).await));
    expected.push("You have new recovery codes");
    assert_eq!(subjects(&world), expected);
    let number = hidden(&browser.get(MANAGE).await, "passkey");
    browser.fill(MANAGE, &[("passkey", &number)]).await;
    expected.push("A second factor was removed");
    assert_eq!(subjects(&world), expected);
    let fields = [("password", PASSWORD), ("new_password", NEW), ("repeated", NEW)];
    assert!(browser.fill("/accounts/password/", &fields).await.text.contains("is changed"));
    expected.push("Your password was changed");
    assert_eq!(subjects(&world), expected);
    let other = Browser::new(&world);
    other.sign_in(&email("manager_mary"), NEW, "/").await;
    assert_eq!(other.second_step(&codes[10]).await.status, StatusCode::FOUND);
    expected.push("A recovery code was used");
    assert_eq!(subjects(&world), expected);
    for mail in world.mails() {
        let secrets = codes.iter().map(String::as_str).chain([PASSWORD, NEW, secret.as_str(), "Key"]);
        for secret in secrets {
            assert!(!mail.text.contains(secret), "{}", mail.text);
        }
        assert!(mail.text.contains("When: ") && mail.text.contains(&format!("\n{}/accounts/", world.base)));
    }
}

// ASVS 6.3.7
#[tokio::test]
async fn a_password_that_was_reset_is_told() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    browser.fill("/accounts/reset/", &[("email", &email("manager_mary"))]).await;
    let text = world.mails().remove(0).text;
    let (_, link) = text.split_once(world.base.as_str()).expect("a link");
    let path = link.split_whitespace().next().expect("a path").to_owned();
    let token = path.split_once("token=").expect("a token").1.to_owned();
    let fields = [("token", token.as_str()), ("new_password", NEW), ("repeated", NEW)];
    assert!(browser.fill(&path, &fields).await.text.contains("is saved"));
    assert_eq!(subjects(&world), ["Choose a new password", "Your password was changed"]);
    assert!(world.mails()[1].text.contains("by a link that was sent to this address"));
}

// ASVS 6.3.5
#[tokio::test]
async fn ten_wrong_passwords_in_a_row_are_told_once_and_only_where_there_is_an_account() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    for name in ["manager_mary", "nobody_at_all"] {
        for _ in 0..12 {
            assert_eq!(browser.sign_in(&email(name), "wrong password", "/").await.status, StatusCode::OK);
            forget_delays(&world).await;
        }
    }
    assert_eq!(subjects(&world), ["Somebody tries to sign in to your account"]);
    assert!(world.mails()[0].text.contains("A wrong password was typed"));
}

// ASVS 6.3.5
#[tokio::test]
async fn five_wrong_codes_after_the_right_password_are_told() {
    let world = World::new().await;
    Browser::signed_in(&world, "manager_mary").await.enrol().await;
    let browser = Browser::new(&world);
    browser.sign_in(&email("manager_mary"), PASSWORD, "/").await;
    for _ in 0..6 {
        assert_eq!(browser.second_step("000000x").await.status, StatusCode::OK);
        forget_delays(&world).await;
    }
    assert_eq!(subjects(&world)[1..], ["Somebody tries to sign in to your account"]);
    assert!(world.mails()[1].text.contains("somebody knows your password. Change it now:"));
}

// ASVS 6.3.5
#[tokio::test]
async fn five_wrong_passkeys_after_the_right_password_are_told() {
    const SECOND: &str = "/accounts/second-factor/passkey/";
    let world = World::new().await;
    let mut passkey = Passkey::new(&world.base);
    Browser::signed_in(&world, "manager_mary").await.add_passkey(&mut passkey, "Key").await;
    let browser = Browser::new(&world);
    browser.sign_in(&email("manager_mary"), PASSWORD, "/").await;
    let mut foreign = Passkey::new(&world.base);
    foreign.create(&serde_json::json!({ "user": { "id": "AAAA" }, "rp": { "id": "localhost" }, "challenge": "AAAA" }));
    for _ in 0..6 {
        let page = browser.ask_passkey("/accounts/second-factor/", SECOND, "/").await;
        let reply = browser.answer_passkey(&page, SECOND, &foreign.get(&options(&page))).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        forget_delays(&world).await;
    }
    assert_eq!(subjects(&world)[1..], ["Somebody tries to sign in to your account"]);
}

#[tokio::test]
async fn a_change_does_not_depend_on_its_mail() {
    for settings in [[("MAIL_TRANSPORT", "none")], [("MAIL_DIRECTORY", "/proc/nowhere")]] {
        let world = World::with(&settings).await;
        let browser = Browser::signed_in(&world, "manager_mary").await;
        let (_, page) = browser.enrol().await;
        assert_eq!(recovery_codes(&page).len(), 10, "{settings:?}: {}", page.text);
    }
}
