//! Signing in and out: what a stranger learns, how often one may guess, and what other sites can make a browser do.

use end_to_end::{
    World,
    browser::{Browser, email, form_token, set_cookies, with_query},
    reply::Reply,
};
use reqwest::{Method, StatusCode};

const PASSWORD: &str = standalone::demo::PASSWORD;
const LOGIN: &str = "/accounts/login/";

/// A page without what differs from load to load.
fn constant(page: &Reply, name: &str) -> String {
    page.text.replace(&form_token(page), "").replace(name, "")
}

async fn sessions(world: &World) -> i64 {
    world.count("SELECT count(*) FROM login_session").await
}

#[tokio::test]
async fn a_form_that_another_site_sends_is_refused_where_only_the_origin_says_so() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    let token = form_token(&browser.get(LOGIN).await);
    let cookie = format!("csrftoken={}", browser.cookie("csrftoken").expect("a cookie"));
    for (origin, status) in [
        ("https://evil.example", StatusCode::FORBIDDEN),
        ("null", StatusCode::FOUND),
        (world.base.as_str(), StatusCode::FOUND),
    ] {
        let form =
            [("csrfmiddlewaretoken", token.as_str()), ("username", "manager_mary@example.com"), ("password", PASSWORD)];
        let request =
            world.anonymous(Method::POST, LOGIN).header("cookie", &cookie).header("origin", origin).form(&form);
        let reply = Reply::to(request).await;
        assert_eq!(reply.status, status, "{origin}: {}", reply.text);
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_are_answered_alike_and_recorded() {
    let world = World::new().await;
    world.sql("UPDATE app_user SET is_active = false WHERE email = 'member_megan@example.com'").await;
    world.sql("UPDATE app_user SET password_hash = NULL WHERE email = 'viewer_victor@example.com'").await;
    let mut pages = Vec::new();
    for name in ["manager_mary", "nobody", "member_megan", "viewer_victor"] {
        let end = world.audit_end().await;
        let password = if name == "member_megan" { PASSWORD } else { "wrong" };
        let page = Browser::new(&world).sign_in(&email(name), password, "/").await;
        assert_eq!(page.status, StatusCode::OK, "{name}");
        assert!(page.text.contains("is not right") && !page.text.contains(PASSWORD), "{name}: {}", page.text);
        assert_eq!(set_cookies(&page), [""; 0], "{name}");
        pages.push(constant(&page, &email(name)));
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), 1, "{name}");
        assert_eq!((events[0].outcome.as_str(), events[0].refused_by.as_deref()), ("denied", Some("token")), "{name}");
        assert_eq!(events[0].actor, None, "{name}: nobody was authenticated");
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "{pages:#?}");
    assert_eq!(sessions(&world).await, 0);
}

#[tokio::test]
async fn a_form_that_was_not_made_for_this_browser_is_refused() {
    let world = World::new().await;
    let (mine, other) = (Browser::new(&world), Browser::new(&world));
    let token = form_token(&mine.get(LOGIN).await);
    let others = form_token(&other.get(LOGIN).await);
    let mary = email("manager_mary");
    let form = |token: &str| {
        vec![
            ("csrfmiddlewaretoken".to_owned(), token.to_owned()),
            ("username".to_owned(), mary.clone()),
            ("password".to_owned(), PASSWORD.to_owned()),
        ]
    };
    let cookie = format!("csrftoken={}", mine.cookie("csrftoken").expect("a cookie"));
    let post = |form: &[(String, String)], cookie: &str| {
        world.anonymous(Method::POST, LOGIN).header("cookie", cookie).form(form)
    };
    let mut forged = token.clone();
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    forged.insert(0, last);
    let mut twice = form(&token);
    twice.push(twice[0].clone());
    for (what, request) in [
        ("no token", post(&form(&token)[1..], &cookie)),
        ("an empty token", post(&form(""), &cookie)),
        ("no cookie", post(&form(&token), "a=b")),
        ("an empty cookie", post(&form(&token), "csrftoken=")),
        ("the cookie of another browser", post(&form(&others), &cookie)),
        ("a changed token", post(&form(&forged), &cookie)),
        ("the cookie as token", post(&form(&cookie[10..]), &cookie)),
        ("two tokens", post(&twice, &cookie)),
        ("a page of another site", post(&form(&token), &cookie).header("sec-fetch-site", "cross-site")),
        ("a page of a sister host", post(&form(&token), &cookie).header("sec-fetch-site", "same-site")),
    ] {
        let reply = Reply::to(request).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{what}");
        assert_eq!((reply.header("location"), set_cookies(&reply).len()), ("", 0), "{what}");
    }
    assert_eq!(sessions(&world).await, 0);
    let good = post(&form(&token), &cookie).header("sec-fetch-site", "same-origin");
    assert_eq!(Reply::to(good).await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn signing_in_never_leads_to_another_site() {
    let world = World::new().await;
    for (next, expected) in [
        ("/o/authorize/?a=b&c=%2F%2Fd", "/o/authorize/?a=b&c=%2F%2Fd"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/\t/evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\r\nSet-Cookie: a=b", "/"),
        ("", "/"),
    ] {
        let browser = Browser::new(&world);
        let page = browser.get(&with_query(LOGIN, &[("next", next)])).await;
        let token = form_token(&page);
        let (_, shown) = page.text.split_once("name=\"next\" value=\"").expect("the field");
        assert_eq!(
            shown.split('"').next().map(|text| text.replace("&amp;", "&")).as_deref(),
            Some(expected),
            "{next:?}"
        );
        let form = [
            ("csrfmiddlewaretoken", token.as_str()),
            ("next", next),
            ("username", "manager_mary@example.com"),
            ("password", PASSWORD),
        ];
        let reply = browser.post(LOGIN, &form).await;
        assert_eq!((reply.status, reply.header("location")), (StatusCode::FOUND, expected), "{next:?}");
    }
}

#[tokio::test]
async fn cookies_are_kept_from_scripts_and_other_sites() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    let page = browser.get(LOGIN).await;
    let reply = browser.sign_in(&email("manager_mary"), PASSWORD, "/").await;
    let cookies = [set_cookies(&page), set_cookies(&reply)].concat();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    for cookie in &cookies {
        for flag in ["; Path=/", "; HttpOnly", "; SameSite=Lax"] {
            assert!(cookie.contains(flag), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    let session = cookies.iter().find(|cookie| cookie.starts_with("jhe_session=")).expect("a session");
    assert!(session.ends_with("; Max-Age=43200"), "twelve hours: {session}");
}

#[tokio::test]
async fn signing_in_replaces_the_session_and_nobody_can_plant_one() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    browser.plant("jhe_session", &"x".repeat(43));
    browser.sign_in(&email("manager_mary"), PASSWORD, "/").await;
    let first = browser.cookie("jhe_session").expect("a session");
    assert_ne!(first, "x".repeat(43));
    browser.sign_in(&email("member_megan"), PASSWORD, "/").await;
    assert_ne!(browser.cookie("jhe_session"), Some(first.clone()));
    assert_eq!(sessions(&world).await, 1, "the session before has ended");
    browser.plant("jhe_session", &first);
    let asked = browser.get(&world.authorize_path().await).await;
    assert!(asked.header("location").starts_with("/accounts/login/"), "{}", asked.header("location"));
}

#[tokio::test]
async fn a_session_ends_with_its_time_with_its_user_and_by_signing_out() {
    let world = World::new().await;
    let authorize = world.authorize_path().await;
    let is_in =
        async |browser: &Browser<'_>| !browser.get(&authorize).await.header("location").starts_with("/accounts/login/");
    let browser = Browser::signed_in(&world, "manager_mary").await;
    assert!(is_in(&browser).await);
    world.sql("UPDATE app_user SET is_active = false WHERE id = 10002").await;
    assert!(!is_in(&browser).await);
    world.sql("UPDATE app_user SET is_active = true WHERE id = 10002").await;
    world.sql("UPDATE login_session SET expires_at = clock_timestamp()").await;
    assert!(!is_in(&browser).await);

    let browser = Browser::signed_in(&world, "manager_mary").await;
    let page = browser.get("/accounts/logout/").await;
    assert!(is_in(&browser).await, "looking at the page does not sign out");
    let token = form_token(&page);
    let old = browser.cookie("jhe_session").expect("a session");
    for forged in ["", "AAAA"] {
        let reply = browser.post("/accounts/logout/", &[("csrfmiddlewaretoken", forged)]).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
    }
    assert!(is_in(&browser).await);
    let reply = browser.post("/accounts/logout/", &[("csrfmiddlewaretoken", &token)]).await;
    assert_eq!((reply.status, browser.cookie("jhe_session")), (StatusCode::FOUND, None));
    browser.plant("jhe_session", &old);
    assert!(!is_in(&browser).await, "the token itself is worth nothing");
}
