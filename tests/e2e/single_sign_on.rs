//! Single sign-on, as far as it goes without an identity provider that signs: `tests/python/saml_test.py` has one.

use end_to_end::{
    World,
    browser::{Browser, set_cookies},
    reply::Reply,
};
use reqwest::{Method, StatusCode};

const METADATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/idp_metadata.xml");

/// Every way in, with what it is sent.
const ROUTES: [(&str, &str); 7] = [
    ("GET", "/saml2/metadata/"),
    ("GET", "/saml2/login/"),
    ("POST", "/saml2/acs/"),
    ("GET", "/saml2/ls/"),
    ("POST", "/saml2/ls/post/"),
    ("GET", "/saml2/logout/"),
    ("POST", "/saml2/logout/"),
];

async fn with_identity_provider() -> World {
    World::with(&[("SAML_METADATA_FILE", METADATA), ("SSO_VALID_DOMAINS", "example.com")]).await
}

#[tokio::test]
async fn without_settings_there_is_no_single_sign_on() {
    let world = World::new().await;
    for (method, path) in ROUTES {
        let request = world.anonymous(method.parse::<Method>().expect("a method"), path);
        assert_eq!(Reply::to(request).await.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    let page = Browser::new(&world).get("/accounts/login/").await;
    assert!(!page.text.contains("saml2"), "{}", page.text);
}

#[tokio::test]
async fn settings_that_contradict_stop_single_sign_on_and_nothing_else() {
    let url = ("SAML_METADATA_URL", "https://idp.example/");
    let file = ("SAML_METADATA_FILE", METADATA);
    for settings in
        [&[file][..], &[file, url, ("SSO_VALID_DOMAINS", "example.com")], &[file, ("SSO_VALID_DOMAINS", "*")]]
    {
        let world = World::with(settings).await;
        for (method, path) in ROUTES {
            let request = world.anonymous(method.parse::<Method>().expect("a method"), path);
            assert_eq!(
                Reply::to(request).await.status,
                StatusCode::INTERNAL_SERVER_ERROR,
                "{settings:?} {method} {path}"
            );
        }
        assert_eq!(Browser::new(&world).get("/accounts/login/").await.status, StatusCode::OK);
    }
}

/// The button of the page of the organization.
async fn asked(browser: &Browser<'_>) -> Reply {
    browser.fill("/saml2/login/?next=%2F", &[("next", "/")]).await
}

// ASVS 7.6.2
#[tokio::test]
async fn a_link_alone_signs_nobody_in_at_the_identity_provider() {
    let world = with_identity_provider().await;
    let browser = Browser::new(&world);
    let page = browser.get("/saml2/login/?next=%2Fo%2F").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("<button>Sign in with your organization</button>"), "{}", page.text);
    assert!(page.text.contains("name=\"next\" value=\"/o/\""), "{}", page.text);
    assert_eq!(browser.cookie("jhe_saml_login"), None);
    assert_eq!(browser.post("/saml2/login/", &[("next", "/")]).await.status, StatusCode::FORBIDDEN);
}

// ASVS 6.8.4
#[tokio::test]
async fn who_has_to_sign_in_anew_has_to_do_so_at_the_identity_provider() {
    let world = with_identity_provider().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let asks = |again: &str| format!("name=\"again\" value=\"{again}\"");
    for (parameter, again) in [("prompt=login", "1"), ("max_age=0", "1"), ("max_age=3600", "")] {
        world.sql("UPDATE login_session SET started_at = started_at - interval '2 hours'").await;
        let who =
            if again.is_empty() { Browser::new(&world) } else { Browser::signed_in(&world, "manager_mary").await };
        let reply = who.get(&format!("{}&{parameter}", world.authorize_path().await)).await;
        let page = who.get(reply.header("location")).await;
        assert!(page.text.contains(&asks(again)), "{parameter}: {}", page.text);
    }
    let stale = browser.get(&format!("{}&max_age=3600", world.authorize_path().await)).await;
    assert!(stale.header("location").ends_with("&again=1"), "{}", stale.header("location"));
}

/// SAML Profiles 4.1.3.3: by HTTP-Redirect, signed.
#[tokio::test]
async fn asking_to_sign_in_stores_nothing_and_leads_to_the_identity_provider() {
    let world = with_identity_provider().await;
    let page = Browser::new(&world).get("/accounts/login/?next=%2Fo%2Fauthorize%2F%3Fa%3Db").await;
    assert!(page.text.contains("<form method=\"post\" action=\"/saml2/login/\">"), "{}", page.text);
    let end = world.audit_end().await;
    let browser = Browser::new(&world);
    let reply = asked(&browser).await;
    assert_eq!(reply.status, StatusCode::FOUND);
    let location = reply.header("location");
    assert!(location.starts_with("https://idp.example/sso?SAMLRequest="), "{location}");
    assert!(
        location.contains("&SigAlg=http%3A%2F%2Fwww.w3.org%2F2001%2F04%2Fxmldsig-more%23rsa-sha256&Signature="),
        "{location}"
    );
    let [cookie] = set_cookies(&reply).try_into().expect("one cookie");
    assert!(cookie.starts_with("jhe_saml_login=") && cookie.contains("; HttpOnly"), "{cookie}");
    assert_eq!(world.count("SELECT count(*) FROM used_message").await, 0);
    assert!(world.audit_after(end).await.is_empty());
    let again = asked(&browser).await;
    assert_ne!(again.header("location"), location, "every request has its own identifier");
}

#[tokio::test]
async fn a_message_that_is_not_believed_is_recorded_and_tells_nothing() {
    let world = with_identity_provider().await;
    for (name, reason, waiting) in [("nobody asked", "unsolicited", false), ("not XML", "malformed", true)] {
        let browser = Browser::new(&world);
        if waiting {
            asked(&browser).await;
        }
        let reply = browser.post("/saml2/acs/", &[("SAMLResponse", "bm8geG1s")]).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{name}");
        assert!(reply.text.contains("could not be used") && !reply.text.contains(reason), "{name}: {}", reply.text);
        assert_eq!(browser.cookie("jhe_saml_login"), None, "{name}: the request was answered");
        assert_eq!(browser.cookie("jhe_session"), None, "{name}");
        let last = "SELECT refused_by, detail->>'reason', actor_type FROM audit_event ORDER BY id DESC LIMIT 1";
        let row = &world.sql(last).await[0];
        let found: [&str; 3] = [row.get(0), row.get(1), row.get(2)];
        assert_eq!(found, ["token", reason, "anonymous"], "{name}");
    }
    for (path, form) in [("/saml2/ls/?SAMLRequest=abc", None), ("/saml2/ls/post/", Some([("SAMLRequest", "bm8geG1s")]))]
    {
        let browser = Browser::new(&world);
        let end = world.audit_end().await;
        let reply = match form {
            None => browser.get(path).await,
            Some(form) => browser.post(path, &form).await,
        };
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(world.audit_after(end).await.len(), 1, "{path}");
    }
    assert_eq!(world.count("SELECT count(*) FROM login_session").await, 0);
}

#[tokio::test]
async fn signing_out_takes_the_form_and_ends_a_session_of_any_kind() {
    let world = with_identity_provider().await;
    let browser = Browser::signed_in(&world, "viewer_victor").await;
    assert_eq!(browser.post("/saml2/logout/", &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.count("SELECT count(*) FROM login_session").await, 1);
    let page = browser.get("/saml2/logout/").await;
    let token = end_to_end::browser::form_token(&page);
    let reply = browser.post("/saml2/logout/", &[("csrfmiddlewaretoken", token.as_str())]).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::FOUND, "/accounts/login/"));
    assert_eq!(world.count("SELECT count(*) FROM login_session").await, 0);
}

#[tokio::test]
async fn the_functions_login_makes_practitioners_only_without_password_rights_or_organization() {
    let world = World::new().await;
    let client = world.as_function().await;
    let row = client.query_one("SELECT create_practitioner('x@example.com', 'X', 'Y')", &[]).await.expect("a user");
    let user: i32 = row.get(0);
    let made = world
        .count(&format!(
            "SELECT count(*) FROM app_user u JOIN practitioner p ON p.user_id = u.id
              WHERE u.id = {user} AND u.password_hash IS NULL AND NOT u.is_superuser
                AND NOT EXISTS (SELECT FROM organization_member m WHERE m.practitioner_id = p.id)"
        ))
        .await;
    assert_eq!(made, 1);
    let again = client.query_one("SELECT create_practitioner('X@Example.com', '', '')", &[]).await.expect("an answer");
    assert_eq!(again.get::<_, Option<i32>>(0), None, "an address has one account, whatever its spelling");
    for statement in ["UPDATE used_message SET lapses_at = now()", "UPDATE linked_session SET name_id = 'x'"] {
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("42501"), "{statement}");
    }
}
