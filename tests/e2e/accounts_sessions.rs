//! Sessions and the access of apps: how long they last, and how their owner ends them (OWASP ASVS 5.0 chapter V7).

use end_to_end::{
    World,
    application::{application, member},
    browser::{Browser, email, form_token},
    reply::Reply,
};
use reqwest::{Method, StatusCode};
use serde_json::json;
use standalone::demo::PASSWORD;

const PAGE: &str = "/accounts/sessions/";

/// The values of the hidden fields of a name on a page.
fn values(page: &str, name: &str) -> Vec<String> {
    let marker = format!("name=\"{name}\" value=\"");
    page.split(&marker).skip(1).map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
}

// ASVS 7.3.1
#[tokio::test]
async fn a_session_that_is_not_used_ends_after_half_an_hour() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    for (idle, is_in) in [("29 minutes", true), ("30 minutes", false)] {
        world.sql(&format!("UPDATE login_session SET last_used_at = clock_timestamp() - interval '{idle}'")).await;
        assert_eq!(browser.is_in().await, is_in, "{idle}");
    }
}

#[tokio::test]
async fn the_idle_limit_is_a_setting() {
    let world = World::with(&[("SESSION_IDLE_SECONDS", "60")]).await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    world.sql("UPDATE login_session SET last_used_at = clock_timestamp() - interval '61 seconds'").await;
    assert!(!browser.is_in().await);
}

// ASVS 7.3.2
#[tokio::test]
async fn use_prolongs_a_session_only_up_to_its_absolute_end() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    world.sql("UPDATE login_session SET last_used_at = clock_timestamp() - interval '20 minutes'").await;
    assert!(browser.is_in().await);
    let idle = "SELECT count(*) FROM login_session WHERE last_used_at > clock_timestamp() - interval '1 minute'";
    assert_eq!(world.count(idle).await, 1, "the use is written");
    let hours = world
        .count("SELECT round(extract(epoch FROM expires_at - started_at) / 3600)::bigint FROM login_session")
        .await;
    assert_eq!(hours, 12, "the absolute end stays where it was");
    world.sql("UPDATE login_session SET expires_at = clock_timestamp()").await;
    assert!(!browser.is_in().await);
}

// ASVS 7.5.2
#[tokio::test]
async fn a_person_sees_where_they_are_signed_in_and_which_apps_have_access() {
    let world = World::new().await;
    world.sql("UPDATE oauth_client SET name = 'App <b>'").await;
    world.tokens("manager_mary").await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let page = browser.get(PAGE).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("App &lt;b&gt;") && page.text.contains("This browser"), "{}", page.text);
    assert_eq!(values(&page.text, "session").len(), 1, "the other one can be ended, this one has its own way out");
    assert!(!values(&page.text, "app").is_empty());
    // What was allowed, in the same words (ASVS 10.7.3).
    for words in ["It can:", "see your e-mail address", "go on while you are not using it", "unless renewed"] {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    let anonymous = Browser::new(&world).get(PAGE).await;
    assert_eq!(anonymous.header("location"), "/accounts/login/?next=%2Faccounts%2Fsessions%2F");
}

// ASVS 7.5.2
#[tokio::test]
async fn one_session_or_one_app_can_be_ended_and_it_is_recorded() {
    let world = World::new().await;
    world.sql("UPDATE oauth_grant SET revoked_at = clock_timestamp()").await;
    let tokens = world.tokens("manager_mary").await;
    let access = tokens["access_token"].as_str().expect("a token");
    let other = Browser::signed_in(&world, "manager_mary").await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    // One session is of the browser in which the app was allowed.
    world.sql("DELETE FROM login_session WHERE started_at = (SELECT min(started_at) FROM login_session)").await;
    let page = browser.get(PAGE).await;
    let (sessions, apps) = (values(&page.text, "session"), values(&page.text, "app"));
    assert_eq!((sessions.len(), apps.len()), (1, 1));
    let end = world.audit_end().await;
    for (what, which) in [("session", &sessions[0]), ("app", &apps[0])] {
        let reply = browser.fill(PAGE, &[(what, which)]).await;
        assert_eq!(reply.status, StatusCode::FOUND, "{}", reply.text);
    }
    assert!(!other.is_in().await && browser.is_in().await);
    assert!(!world.accepts(access).await, "on the next request");
    let events: Vec<_> = world.audit_after(end).await.into_iter().filter(|event| event.action == "delete").collect();
    let kinds: Vec<_> = events.iter().map(|event| (event.resource_type.as_str(), event.actor)).collect();
    assert_eq!(kinds, [("Session", Some(10002)), ("Token", Some(10002))]);
}

// ASVS 10.7.3
#[tokio::test]
async fn a_part_of_what_an_app_may_do_is_taken_back_and_counts_on_the_next_request() {
    let world = World::new().await;
    let scopes = ["openid", "email", "offline_access", "user/Patient.rs", "user/Group.rs"];
    let app = world.register(&application("client_secret_basic", &json!({ "scopes": scopes }))).await;
    world.sql("UPDATE oauth_grant SET revoked_at = clock_timestamp()").await;
    let tokens = world.tokens_of("manager_mary", &app).await;
    for table in ["oauth_grant", "access_token"] {
        world.sql(&format!("UPDATE {table} SET scope = '{}' WHERE revoked_at IS NULL", scopes.join(" "))).await;
    }
    let status = async |path: &str| {
        let request = world.anonymous(Method::GET, path).bearer_auth(member(&tokens, "access_token"));
        Reply::to(request).await.status
    };
    assert_eq!((status("/FHIR/R5/Patient").await, status("/FHIR/R5/Group").await), (StatusCode::OK, StatusCode::OK));
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let page = browser.get(PAGE).await;
    assert!(page.text.contains("No longer see your e-mail address"), "{}", page.text);
    assert_eq!(values(&page.text, "part"), scopes[1..], "openid goes with the whole");
    let grant = values(&page.text, "part-of").pop().expect("a grant");
    let end = world.audit_end().await;
    let less = |part: &'static str| [("part-of", grant.clone()), ("part", part.to_owned())];
    let megan = Browser::signed_in(&world, "member_megan").await;
    let taken = async |browser: &Browser<'_>, part: &'static str| {
        let form = less(part);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.fill(PAGE, &form).await.status
    };
    assert_eq!(taken(&megan, "user/Patient.rs").await, StatusCode::NOT_FOUND, "it is not hers");
    assert_eq!(taken(&browser, "user/Patient.rs").await, StatusCode::FOUND);
    assert_eq!(
        (status("/FHIR/R5/Patient").await, status("/FHIR/R5/Group").await),
        (StatusCode::FORBIDDEN, StatusCode::OK)
    );
    let form = [("token", member(&tokens, "access_token"))];
    let shown = world.as_client(&app, "/o/introspect/", &form).await.json();
    assert_eq!(shown["scope"], "openid email offline_access user/Group.rs");
    let events: Vec<_> = world.audit_after(end).await.into_iter().filter(|event| event.action == "update").collect();
    assert_eq!((events.len(), events[0].resource_type.as_str(), events[0].actor), (1, "Token", Some(10002)));
    // A renewed token has no more; and what would be left could be more than it was.
    let form = [("grant_type", "refresh_token"), ("refresh_token", member(&tokens, "refresh_token"))];
    let renewed = world.as_client(&app, "/o/token/", &form).await.json();
    assert_eq!(renewed["scope"], "openid email offline_access user/Group.rs");
    for part in ["user/Group.rs", "openid", "user/Patient.rs", "profile"] {
        assert_eq!(taken(&browser, part).await, StatusCode::NOT_FOUND, "{part}");
    }
}

#[tokio::test]
async fn nobody_ends_the_sessions_or_apps_of_somebody_else() {
    let world = World::new().await;
    let mary = Browser::signed_in(&world, "manager_mary").await;
    let tokens = world.tokens("manager_mary").await;
    let second = Browser::signed_in(&world, "manager_mary").await;
    let page = second.get(PAGE).await;
    let megan = Browser::signed_in(&world, "member_megan").await;
    for name in ["session", "app"] {
        for value in values(&page.text, name) {
            megan.fill(PAGE, &[(name, &value)]).await;
        }
    }
    megan.fill(PAGE, &[("all", "")]).await;
    assert!(mary.is_in().await && second.is_in().await && megan.is_in().await);
    assert!(world.accepts(tokens["access_token"].as_str().expect("a token")).await);
    let token = form_token(&page);
    let forged = megan.post(PAGE, &[("csrfmiddlewaretoken", &token), ("all", "")]).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN, "a form of another session");
}

// ASVS 7.4.3
#[tokio::test]
async fn everything_but_this_browser_can_be_ended_at_once() {
    let world = World::new().await;
    let tokens = world.tokens("manager_mary").await;
    let other = Browser::signed_in(&world, "manager_mary").await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    browser.fill(PAGE, &[("all", "")]).await;
    assert!(browser.is_in().await && !other.is_in().await);
    assert!(!world.accepts(tokens["access_token"].as_str().expect("a token")).await);
    let refreshed = world.refresh(tokens["refresh_token"].as_str().expect("a token")).await;
    assert_eq!(refreshed.0, StatusCode::BAD_REQUEST);
    assert_eq!(Browser::new(&world).sign_in(&email("manager_mary"), PASSWORD, "/").await.status, StatusCode::FOUND);
}

// ASVS 7.5.2
#[tokio::test]
async fn ending_something_takes_a_recent_sign_in() {
    let world = World::new().await;
    let other = Browser::signed_in(&world, "manager_mary").await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let page = browser.get(PAGE).await;
    world.sql("UPDATE login_session SET started_at = started_at - interval '10 minutes'").await;
    let session = values(&page.text, "session").remove(0);
    for field in [("session", session.as_str()), ("all", "")] {
        let reply = browser.fill(PAGE, &[field]).await;
        let again = "/accounts/login/?next=%2Faccounts%2Fsessions%2F&again=1";
        assert_eq!(reply.header("location"), again, "{}", reply.text);
    }
    assert!(other.is_in().await);
    browser.sign_in(&email("manager_mary"), PASSWORD, PAGE).await;
    assert_eq!(browser.fill(PAGE, &[("all", "")]).await.header("location"), "/accounts/sessions/?done=1");
    assert!(!other.is_in().await && browser.is_in().await);
}

// ASVS 7.4.4
#[tokio::test]
async fn every_page_of_a_session_leads_to_signing_out() {
    let world = World::new().await;
    world.sql("UPDATE oauth_client SET skip_authorization = false").await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let consent = world.authorize_path().await;
    let pages = [
        PAGE,
        "/accounts/password/",
        "/accounts/second-factor/manage/",
        "/accounts/second-factor/enrol/",
        "/accounts/second-factor/passkey/enrol/",
        "/accounts/email-code/",
        &consent,
    ];
    for page in pages {
        let reply = browser.get(page).await;
        assert_eq!(reply.status, StatusCode::OK, "{page}: {}", reply.text);
        assert!(reply.text.contains("href=\"/accounts/logout/\""), "{page}: {}", reply.text);
    }
    let (_, codes) = browser.enrol().await;
    assert!(codes.text.contains("href=\"/accounts/logout/\""), "{}", codes.text);
}
