//! What super admins end for others: sessions, and second factors that are lost (OWASP ASVS 5.0 sections 6.4.4 and 7.4.5).

use end_to_end::{
    World,
    authenticator::Passkey,
    browser::{Browser, email},
    reply::Reply,
};
use reqwest::{Method, StatusCode};
use standalone::demo::PASSWORD;

/// The number of the user Mary.
const MARY: i32 = 10002;

async fn delete(world: &World, user: &str, path: &str) -> Reply {
    Reply::to(world.request(user, Method::DELETE, path)).await
}

/// The last event: who, what, of whom, with which outcome.
async fn last_event(world: &World) -> (String, String, String, String) {
    let last = "SELECT actor_type, resource_type, coalesce(detail::text, ''), outcome FROM audit_event ORDER BY id DESC LIMIT 1";
    let row = &world.sql(last).await[0];
    (row.get(0), row.get(1), row.get(2), row.get(3))
}

// ASVS 7.4.5
#[tokio::test]
async fn a_super_admin_ends_all_sessions_of_a_user_and_the_access_of_their_apps() {
    let world = World::new().await;
    let (mary, other) =
        (Browser::signed_in(&world, "manager_mary").await, Browser::signed_in(&world, "manager_mark").await);
    let tokens = world.tokens("manager_mary").await;
    let reply = delete(&world, "admin", &format!("/api/v1/users/{MARY}/sessions")).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{}", reply.text);
    let event = last_event(&world).await;
    assert_eq!((event.0.as_str(), event.1.as_str(), event.3.as_str()), ("super_admin", "Session", "allowed"));
    assert_eq!(event.2, format!("{{\"user_id\": {MARY}}}"));
    assert!(!mary.is_in().await && other.is_in().await);
    assert!(!world.accepts(tokens["access_token"].as_str().expect("a token")).await);
    assert!(Browser::signed_in(&world, "manager_mary").await.is_in().await, "the account is as open as before");
}

// ASVS 7.4.5
#[tokio::test]
async fn a_super_admin_ends_all_sessions_of_everybody() {
    let world = World::new().await;
    let mary = Browser::signed_in(&world, "manager_mary").await;
    let token = world.token("manager_mark").to_owned();
    assert_eq!(delete(&world, "admin", "/api/v1/users/sessions").await.status, StatusCode::NO_CONTENT);
    assert_eq!(last_event(&world).await.2, "{\"users\": \"all\"}");
    assert!(!mary.is_in().await && !world.accepts(&token).await);
    assert!(!world.accepts(world.token("admin")).await, "the own ones too");
}

// ASVS 6.4.4
#[tokio::test]
async fn a_super_admin_removes_the_factors_of_who_lost_them_and_the_user_is_told() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    browser.enrol().await;
    let mut passkey = Passkey::new(&world.base);
    browser.add_passkey(&mut passkey, "Key").await;
    let reply = delete(&world, "admin", &format!("/api/v1/users/{MARY}/second-factor")).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{}", reply.text);
    let event = last_event(&world).await;
    assert_eq!((event.0.as_str(), event.1.as_str(), event.3.as_str()), ("super_admin", "SecondFactor", "allowed"));
    let left = "SELECT (SELECT count(*) FROM totp_factor) + (SELECT count(*) FROM passkey) + (SELECT count(*) FROM recovery_code)";
    assert_eq!(world.count(left).await, 0);
    assert!(!browser.is_in().await);
    assert_eq!(Browser::new(&world).sign_in_by(&mut passkey, "/").await.status, StatusCode::OK, "refused");
    let mails = world.mails();
    let mail = mails.last().expect("a mail");
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), ("manager_mary@example.com", "A second factor was removed"));
    let reply = Browser::new(&world).sign_in(&email("manager_mary"), PASSWORD, "/").await;
    assert_eq!(reply.header("location"), "/", "the password is as before");
}

#[tokio::test]
async fn nobody_else_does_and_nobody_to_themselves() {
    let world = World::new().await;
    let (sessions, factor) = (format!("/api/v1/users/{MARY}/sessions"), format!("/api/v1/users/{MARY}/second-factor"));
    for path in [sessions.as_str(), &factor, "/api/v1/users/sessions"] {
        for user in ["manager_mary", "manager_mark", "ll_patient_peter"] {
            let reply = delete(&world, user, path).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{user} {path}: {}", reply.text);
            assert_eq!(last_event(&world).await.3, "denied", "{user} {path}");
        }
    }
    for path in ["/api/v1/users/99999/sessions", "/api/v1/users/99999/second-factor", "/api/v1/users/x/sessions"] {
        assert_eq!(delete(&world, "admin", path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let own = world.count("SELECT id::bigint FROM app_user WHERE email = 'admin@example.com'").await;
    let reply = delete(&world, "admin", &format!("/api/v1/users/{own}/second-factor")).await;
    assert_eq!(reply.status, StatusCode::CONFLICT, "{}", reply.text);
}
