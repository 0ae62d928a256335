//! Signing out at a client's wish (OpenID Connect RP-Initiated Logout 1.0).

use end_to_end::{
    World, answer,
    browser::{Browser, CLIENT, VERIFIER, form_token, location, with_query},
    reply::Reply,
};
use reqwest::{Method, StatusCode};
use serde_json::Value;

const BACK: &str = "https://app.example/signed-out";

/// A world in which the public client may have browsers back, a browser in which Mary is signed in, and the tokens that the
/// client got there.
async fn signed_in(world: &World) -> (Browser<'_>, Value) {
    world.sql(&format!("UPDATE oauth_client SET post_logout_redirect_uris = ARRAY['{BACK}'] WHERE id = 4")).await;
    let browser = Browser::signed_in(world, "manager_mary").await;
    let path = world.authorize_path().await.replace("+offline_access", "");
    let code = location(&browser.get(&path).await).1["code"].clone();
    let (status, tokens) = world.exchange(&code, VERIFIER).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    (browser, tokens)
}

async fn sessions(world: &World) -> i64 {
    world.count("SELECT count(*) FROM login_session").await
}

/// Sends the form of the page, as it is.
async fn confirm(browser: &Browser<'_>, page: &Reply, fields: &[(&str, &str)]) -> Reply {
    let token = form_token(page);
    let mut form = vec![("csrfmiddlewaretoken", token.as_str())];
    form.extend_from_slice(fields);
    browser.post("/o/logout/", &form).await
}

#[tokio::test]
async fn a_client_signs_its_user_out_and_has_the_browser_back_with_its_state() {
    let world = World::new().await;
    let (browser, tokens) = signed_in(&world).await;
    let hint = tokens["id_token"].as_str().expect("an id_token");
    let fields = [("id_token_hint", hint), ("post_logout_redirect_uri", BACK), ("state", "a&b")];
    let page = browser.get(&with_query("/o/logout/", &fields)).await;
    assert_eq!((page.status, sessions(&world).await), (StatusCode::OK, 1), "a GET changes nothing");
    assert!(page.text.contains("JHE Admin UI") && page.header("cache-control") == "no-store");

    let left = confirm(&browser, &page, &fields).await;
    assert_eq!(
        (left.status, left.header("location")),
        (StatusCode::FOUND, "https://app.example/signed-out?state=a%26b")
    );
    assert_eq!(sessions(&world).await, 0);
    assert!(!world.accepts(tokens["access_token"].as_str().expect("a token")).await, "what the client got ends too");
    assert_eq!(world.refresh(tokens["refresh_token"].as_str().expect("a token")).await.0, StatusCode::BAD_REQUEST);
    let recorded = "SELECT count(*) FROM audit_event
                     WHERE action = 'delete' AND resource_type = 'Session' AND actor_user_id = 10002 AND client_id = 4";
    assert_eq!(world.count(recorded).await, 1);

    let again = browser.get(&with_query("/o/logout/", &fields)).await;
    assert_eq!(again.header("location"), "https://app.example/signed-out?state=a%26b", "nobody is left to sign out");
}

#[tokio::test]
async fn what_was_granted_for_offline_use_and_what_others_got_stays() {
    let world = World::new().await;
    let (browser, _) = signed_in(&world).await;
    let code = location(&browser.get(&world.authorize_path().await).await).1["code"].clone();
    let offline = world.exchange(&code, VERIFIER).await.1;
    let other_login = world.tokens("manager_mary").await;
    let page = browser.get(&with_query("/o/logout/", &[("client_id", CLIENT)])).await;
    assert_eq!(confirm(&browser, &page, &[("client_id", CLIENT)]).await.header("location"), "/accounts/login/");
    for tokens in [offline, other_login] {
        assert!(world.accepts(tokens["access_token"].as_str().expect("a token")).await);
    }
}

#[tokio::test]
async fn nobody_is_sent_to_a_place_that_the_client_did_not_register() {
    let world = World::new().await;
    let (browser, tokens) = signed_in(&world).await;
    let hint = tokens["id_token"].as_str().expect("an id_token");
    let signature = hint.rfind('.').expect("a signature") + 1;
    let other = if hint[signature..].starts_with('A') { "B" } else { "A" };
    let forged = format!("{}{other}{}", &hint[..signature], &hint[signature + 1..]);
    let (_, others) = answer(world.anonymous(Method::GET, "/o/.well-known/openid-configuration")).await;
    assert!(others["end_session_endpoint"].as_str().expect("a URL").ends_with("/o/logout/"));
    for (what, fields) in [
        ("another place", vec![("id_token_hint", hint), ("post_logout_redirect_uri", "https://evil.example/")]),
        (
            "a longer place",
            vec![("id_token_hint", hint), ("post_logout_redirect_uri", "https://app.example/signed-out/")],
        ),
        ("no client", vec![("post_logout_redirect_uri", BACK)]),
        ("no such client", vec![("client_id", "nobody"), ("post_logout_redirect_uri", BACK)]),
        ("a forged hint", vec![("id_token_hint", forged.as_str()), ("post_logout_redirect_uri", BACK)]),
        (
            "a forged hint and a name",
            vec![("id_token_hint", &forged), ("client_id", CLIENT), ("post_logout_redirect_uri", BACK)],
        ),
        (
            "two clients",
            vec![
                ("id_token_hint", hint),
                ("client_id", "T6hjXsAUCfU0IAoYwp13FlQFJfAZsotfbyKtyIsL"),
                ("post_logout_redirect_uri", BACK),
            ],
        ),
    ] {
        let page = browser.get(&with_query("/o/logout/", &fields)).await;
        assert_eq!(page.status, StatusCode::OK, "{what}");
        let stranger = Browser::new(&world).get(&with_query("/o/logout/", &fields)).await;
        assert_eq!(stranger.header("location"), "/accounts/login/", "{what}");
    }
    let page = browser.get(&with_query("/o/logout/", &[("post_logout_redirect_uri", BACK)])).await;
    let left = confirm(&browser, &page, &[("post_logout_redirect_uri", BACK)]).await;
    assert_eq!(left.header("location"), "/accounts/login/", "signed out, and not sent there");
    assert_eq!(sessions(&world).await, 0);
}

#[tokio::test]
async fn only_the_form_of_the_page_ends_the_session_and_only_as_it_was_shown() {
    let world = World::new().await;
    let (browser, tokens) = signed_in(&world).await;
    let hint = tokens["id_token"].as_str().expect("an id_token");
    let fields = [("id_token_hint", hint), ("post_logout_redirect_uri", BACK)];
    let asked = browser.post("/o/logout/", &fields).await;
    assert_eq!((asked.status, sessions(&world).await), (StatusCode::OK, 1), "a POST of a client is asked about too");
    let plain = browser.get("/o/logout/").await;
    assert_eq!(confirm(&browser, &plain, &fields).await.status, StatusCode::FORBIDDEN, "not what was shown");
    let other = Browser::signed_in(&world, "member_megan").await;
    let others = other.get(&with_query("/o/logout/", &fields)).await;
    assert_eq!(confirm(&browser, &others, &fields).await.status, StatusCode::FORBIDDEN, "another browser's form");
    for token in ["", "AAAA.BBBB"] {
        let mut form = fields.to_vec();
        form.push(("csrfmiddlewaretoken", token));
        let status = browser.post("/o/logout/", &form).await.status;
        assert_eq!(status, StatusCode::FORBIDDEN, "{token:?}");
    }
    let with_token = with_query("/o/logout/", &[("csrfmiddlewaretoken", form_token(&plain).as_str())]);
    assert_eq!(browser.get(&with_token).await.status, StatusCode::OK, "a GET is never a form");
    assert_eq!(sessions(&world).await, 2);
    for bad in ["/o/logout/?state=a&state=b", "/o/logout/?client_id=a&client_id=b"] {
        assert_eq!(browser.get(bad).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}
