//! Passwords: which may be chosen, how one is changed, and what ends with the old one (OWASP ASVS 5.0 chapter V6.2).

use end_to_end::{
    World,
    browser::{Browser, email},
};
use reqwest::StatusCode;
use standalone::demo::PASSWORD;

const PAGE: &str = "/accounts/password/";
const NEW: &str = "tangerine otter 93";

fn form<'a>(current: &'a str, new: &'a str, repeated: &'a str) -> [(&'a str, &'a str); 3] {
    [("password", current), ("new_password", new), ("repeated", repeated)]
}

// ASVS 6.2.2, 6.2.3, 7.4.3
#[tokio::test]
async fn with_a_new_password_everything_else_ends_and_the_old_one_is_worth_nothing() {
    let world = World::new().await;
    let tokens = world.tokens("manager_mary").await;
    let other = Browser::signed_in(&world, "manager_mary").await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let end = world.audit_end().await;
    let reply = browser.fill(PAGE, &form(PASSWORD, NEW, NEW)).await;
    assert!(reply.text.contains("Your password is changed"), "{}", reply.text);
    let events = world.audit_after(end).await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].resource_type.as_str(), events[0].outcome.as_str(), events[0].actor),
        ("Password", "allowed", Some(10002))
    );
    assert!(browser.is_in().await && !other.is_in().await);
    assert!(!world.accepts(tokens["access_token"].as_str().expect("a token")).await);
    let mary = email("manager_mary");
    assert_eq!(Browser::new(&world).sign_in(&mary, PASSWORD, "/").await.status, StatusCode::OK);
    assert_eq!(Browser::new(&world).sign_in(&mary, NEW, "/").await.status, StatusCode::FOUND);
    assert_eq!(world.tables_with(NEW).await, [""; 0], "only its hash is kept");
}

// ASVS 6.2.3
#[tokio::test]
async fn the_current_password_is_needed_and_guessing_it_is_recorded() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let end = world.audit_end().await;
    let reply = browser.fill(PAGE, &form("wrong", NEW, NEW)).await;
    assert!(reply.text.contains("<a href=\"#password\">This is not your current password.</a>"), "{}", reply.text);
    assert_eq!(world.audit_after(end).await[0].refused_by.as_deref(), Some("token"));
    world.sql("UPDATE login_failure SET failures = 6, last_failure = clock_timestamp()").await;
    let reply = browser.fill(PAGE, &form(PASSWORD, NEW, NEW)).await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(Browser::new(&world).get("/accounts/login/").await.status, StatusCode::OK);
}

// ASVS 6.2.1, 6.2.4, 6.2.5, 6.2.9, 6.2.11
#[tokio::test]
async fn a_password_that_is_short_common_or_known_is_refused_with_a_reason_at_its_field() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    for (new, repeated, field, reason) in [
        ("short", "short", "new_password", "at least 12"),
        ("password12345", "password12345", "new_password", "among the first"),
        ("administration", "administration", "new_password", "among the first"),
        ("Q1w2e3r4t5y6", "Q1w2e3r4t5y6", "new_password", "among the first"),
        ("DragonM0nkey99", "DragonM0nkey99", "new_password", "among the first"),
        ("manager_mary1", "manager_mary1", "new_password", "too close"),
        ("JupyterHealth1", "JupyterHealth1", "new_password", "too close"),
        (NEW, "something else", "repeated", "not the same"),
    ] {
        let reply = browser.fill(PAGE, &form(PASSWORD, new, repeated)).await;
        assert_eq!(reply.status, StatusCode::OK);
        let link = format!("<a href=\"#{field}\">");
        assert!(reply.text.contains(&link) && reply.text.contains(reason), "{new}: {}", reply.text);
        assert!(!reply.text.contains(&format!("value=\"{new}\"")), "a password is never sent back");
    }
    let long = "correct horse ".repeat(30);
    assert!(browser.fill(PAGE, &form(PASSWORD, &long, &long)).await.text.contains("at most 256"));
    for good in ["ohne Zahl und Zeichen", "пароль не из списка"] {
        world.sql("UPDATE app_user SET password_hash = (SELECT password_hash FROM app_user WHERE id = 10003) WHERE id = 10002").await;
        let reply = browser.fill(PAGE, &form(PASSWORD, good, good)).await;
        assert!(reply.text.contains("Your password is changed"), "{good}: {}", reply.text);
    }
}

#[tokio::test]
async fn the_current_password_is_no_new_one() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    assert!(browser.fill(PAGE, &form(PASSWORD, NEW, NEW)).await.text.contains("Your password is changed"));
    let reply = browser.fill(PAGE, &form(NEW, NEW, NEW)).await;
    assert!(reply.text.contains("<a href=\"#new_password\">This is your current password."), "{}", reply.text);
    let reply = browser.fill(PAGE, &form("wrong", NEW, NEW)).await;
    assert!(!reply.text.contains("This is your current password."), "nobody learns it so");
}

// ASVS 6.2.6, 6.2.7
#[tokio::test]
async fn fields_for_passwords_hide_what_is_typed_and_are_named_for_password_managers() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    for (path, signed_in, fields) in [
        ("/accounts/login/", false, &[("password", "current-password")][..]),
        (
            PAGE,
            true,
            &[("password", "current-password"), ("new_password", "new-password"), ("repeated", "new-password")],
        ),
    ] {
        let page = if signed_in { browser.get(path).await } else { Browser::new(&world).get(path).await };
        for (name, autocomplete) in fields {
            let field =
                page.text.split("<input").find(|input| input.contains(&format!("name=\"{name}\""))).expect("a field");
            let field = field.split('>').next().unwrap_or_default();
            assert!(field.contains("type=\"password\""), "{path}: {field}");
            assert!(field.contains(&format!("autocomplete=\"{autocomplete}\"")), "{path}: {field}");
            assert!(
                !field.contains("onpaste") && !field.contains("maxlength") && !field.contains("readonly"),
                "{path}: {field}"
            );
        }
        assert_eq!(page.text.matches("type=\"password\"").count(), fields.len(), "{path}");
    }
}

// ASVS 6.2.10
#[tokio::test]
async fn no_password_is_too_old() {
    let world = World::new().await;
    world.sql("UPDATE app_user SET last_updated = '1990-01-01'").await;
    let browser = Browser::new(&world);
    let reply = browser.sign_in(&email("manager_mary"), PASSWORD, "/o/").await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::FOUND, "/o/"), "{}", reply.text);
    assert!(browser.is_in().await);
}
