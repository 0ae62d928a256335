//! `POST /o/par/`: pushed authorization requests (RFC 9126).

use end_to_end::{
    World,
    application::{REDIRECT_URI, application, member},
    browser::{Browser, CHALLENGE, CLIENT, VERIFIER, email, form_token, location, with_query},
    keys,
    reply::Reply,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Parameters of a request that is right, with what is changed or added.
fn request<'a>(client: &'a str, redirect_uri: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![
        ("client_id", client),
        ("response_type", "code"),
        ("redirect_uri", redirect_uri),
        ("scope", "openid email"),
        ("state", "st"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    for change in changes {
        form.retain(|(name, _)| *name != change.0);
        form.push(*change);
    }
    form
}

/// The reference to a request that the public client pushed.
async fn pushed(world: &World, changes: &[(&str, &str)]) -> String {
    let redirect_uri = world.redirect_uri().await;
    let form = request(CLIENT, &redirect_uri, changes);
    let reply = Reply::to(world.anonymous(Method::POST, "/o/par/").form(&form)).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
    member(&reply.json(), "request_uri").to_owned()
}

fn path(client: &str, request_uri: &str) -> String {
    with_query("/o/authorize/", &[("client_id", client), ("request_uri", request_uri)])
}

/// A page that leads nowhere.
fn assert_page(what: &str, reply: &Reply) {
    assert_eq!((reply.status, reply.header("location")), (StatusCode::BAD_REQUEST, ""), "{what}: {}", reply.text);
    assert!(reply.header("content-type").starts_with("text/html"), "{what}");
}

async fn waiting(world: &World) -> i64 {
    world.count("SELECT count(*) FROM pushed_request").await
}

#[tokio::test]
async fn a_pushed_request_becomes_a_code_once_rfc_9126() {
    let world = World::new().await;
    let redirect_uri = world.redirect_uri().await;
    let end = world.audit_end().await;
    let form = request(CLIENT, &redirect_uri, &[]);
    let reply = Reply::to(world.anonymous(Method::POST, "/o/par/").form(&form)).await;
    assert_eq!((reply.status, reply.header("cache-control")), (StatusCode::CREATED, "no-store"));
    let answer = reply.json();
    assert_eq!((keys(&answer), &answer["expires_in"]), (["expires_in", "request_uri"].into(), &json!(90)));
    let request_uri = member(&answer, "request_uri");
    let secret = request_uri.strip_prefix("urn:ietf:params:oauth:request_uri:").expect("a reference");
    assert_eq!(secret.len(), 43);
    assert_eq!(world.tables_with(secret).await, [""; 0], "kept in the clear");
    let events = world.audit_after(end).await;
    let seen = events.iter().map(|event| (event.resource_type.as_str(), event.action.as_str(), event.outcome.as_str()));
    assert_eq!(seen.collect::<Vec<_>>(), [("Authorization", "create", "allowed")]);

    // What stands beside the reference does not count (RFC 9101 5).
    let beside =
        format!("{}&scope=profile&state=evil&redirect_uri=https%3A%2F%2Fevil.example", path(CLIENT, request_uri));
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let (to, parameters) = location(&browser.get(&beside).await);
    assert_eq!((to, parameters["state"].as_str()), (redirect_uri, "st"));
    let (status, tokens) = world.exchange(&parameters["code"], VERIFIER).await;
    assert_eq!((status, &tokens["scope"]), (StatusCode::OK, &json!("openid email")), "{tokens}");

    assert_page("again", &browser.get(&path(CLIENT, request_uri)).await);
    assert_eq!(waiting(&world).await, 0);
}

#[tokio::test]
async fn the_reference_is_all_that_goes_through_sign_in_and_consent() {
    let world = World::new().await;
    world.sql("UPDATE oauth_client SET skip_authorization = false WHERE id = 4").await;
    for (decision, outcome) in [("allow", "code"), ("deny", "error")] {
        let request_uri = pushed(&world, &[("prompt", "login")]).await;
        let browser = Browser::signed_in(&world, "manager_mary").await;
        let asked = browser.get(&path(CLIENT, &request_uri)).await;
        let (to, parameters) = location(&asked);
        assert_eq!(
            (to.as_str(), parameters["next"].as_str()),
            ("/accounts/login/", path(CLIENT, &request_uri).as_str())
        );
        let next = parameters["next"].clone();
        let back = browser.sign_in(&email("manager_mary"), standalone::demo::PASSWORD, &next).await;
        assert_eq!(back.header("location"), next);
        let page = browser.get(&next).await;
        assert_eq!(page.status, StatusCode::OK, "signed in once for this request");
        assert!(!page.text.contains(CHALLENGE) && page.text.contains("request_uri="), "{}", page.text);
        let form = [("decision", decision), ("csrfmiddlewaretoken", &form_token(&page))];
        let (_, parameters) = location(&browser.post(&next, &form).await);
        assert!(parameters.contains_key(outcome), "{parameters:?}");
        assert_page("the form once more", &browser.post(&next, &form).await);
        assert_eq!(waiting(&world).await, 0, "{decision}");
    }
}

#[tokio::test]
async fn a_reference_waits_ninety_seconds_and_lasts_a_quarter_of_an_hour_once_opened() {
    let world = World::new().await;
    let left = "SELECT round(extract(epoch FROM expires_at - clock_timestamp()))::bigint FROM pushed_request";
    let late = pushed(&world, &[]).await;
    assert!((85..=91).contains(&world.count(left).await));
    let over = "UPDATE pushed_request SET expires_at = clock_timestamp()";
    world.sql(over).await;
    let end = world.audit_end().await;
    let browser = Browser::new(&world);
    assert_page("too late", &browser.get(&path(CLIENT, &late)).await);
    let events = world.audit_after(end).await;
    assert_eq!((events.len(), events[0].refused_by.as_deref()), (1, Some("token")), "recorded");

    let opened = pushed(&world, &[]).await;
    assert_eq!(waiting(&world).await, 1, "what is over goes with the next one");
    assert_eq!(browser.get(&path(CLIENT, &opened)).await.status, StatusCode::FOUND);
    assert!((895..=901).contains(&world.count(left).await), "time to sign in");
    world.sql("UPDATE pushed_request SET expires_at = clock_timestamp() + interval '1 minute'").await;
    assert_eq!(browser.get(&path(CLIENT, &opened)).await.status, StatusCode::FOUND);
    assert!(world.count(left).await <= 60, "opening it again does not prolong it");
    world.sql(over).await;
    assert_page("over", &browser.get(&path(CLIENT, &opened)).await);
}

#[tokio::test]
async fn of_two_browsers_with_one_reference_one_gets_a_code() {
    let world = World::new().await;
    let request_uri = pushed(&world, &[]).await;
    let (mary, megan) =
        (Browser::signed_in(&world, "manager_mary").await, Browser::signed_in(&world, "member_megan").await);
    let path = path(CLIENT, &request_uri);
    let (first, second) = tokio::join!(mary.get(&path), megan.get(&path));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [302, 400]);
    assert_eq!(world.count("SELECT count(*) FROM oauth_code").await, 1);
}

#[tokio::test]
async fn a_reference_is_worth_nothing_for_another_client_or_made_up_rfc_9126_2_2() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let request_uri = pushed(&world, &[]).await;
    let other = world.register(&application("none", &json!({}))).await;
    assert_page("another client", &browser.get(&path(member(&other, "clientId"), &request_uri)).await);
    assert_page("no client", &browser.get(&with_query("/o/authorize/", &[("request_uri", &request_uri)])).await);
    let made_up = format!("urn:ietf:params:oauth:request_uri:{}", "a".repeat(43));
    assert_page("made up", &browser.get(&path(CLIENT, &made_up)).await);
    let twice = format!("{}&request_uri=x", path(CLIENT, &request_uri));
    assert_page("two references", &browser.get(&twice).await);
    assert_eq!(
        browser.get(&path(CLIENT, &request_uri)).await.status,
        StatusCode::FOUND,
        "it is still its own client's"
    );
}

#[tokio::test]
async fn what_is_wrong_is_told_to_the_client_at_once_rfc_9126_2_3() {
    let world = World::new().await;
    let redirect_uri = world.redirect_uri().await;
    for (what, name, value, error) in [
        ("a reference to a reference", "request_uri", "urn:ietf:params:oauth:request_uri:x", "invalid_request"),
        ("a request object", "request", "eyJ", "request_not_supported"),
        ("the implicit grant", "response_type", "token", "unsupported_response_type"),
        ("plain", "code_challenge_method", "plain", "invalid_request"),
        ("no challenge", "code_challenge", "", "invalid_request"),
        ("another's redirect URI", "redirect_uri", "https://evil.example/", "invalid_request"),
        ("no redirect URI", "redirect_uri", "", "invalid_request"),
        ("no such scope", "scope", "system", "invalid_scope"),
        ("a malformed state", "state", "a\nb", "invalid_request"),
    ] {
        let form = request(CLIENT, &redirect_uri, &[(name, value)]);
        let reply = Reply::to(world.anonymous(Method::POST, "/o/par/").form(&form)).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (400, &json!(error)), "{what}");
    }
    let long = "a".repeat(40_000);
    let form = request(CLIENT, &redirect_uri, &[("state", &long)]);
    assert_eq!(Reply::to(world.anonymous(Method::POST, "/o/par/").form(&form)).await.status.as_u16(), 413);
    assert_eq!(Reply::to(world.anonymous(Method::GET, "/o/par/")).await.status.as_u16(), 405);
    assert_eq!(waiting(&world).await, 0);
}

#[tokio::test]
async fn of_a_public_client_a_hundred_requests_wait_from_one_network() {
    let world = World::new().await;
    let redirect_uri = world.redirect_uri().await;
    let form = request(CLIENT, &redirect_uri, &[]);
    let push = async || Reply::to(world.anonymous(Method::POST, "/o/par/").form(&form)).await;
    for number in 0..100 {
        assert_eq!(push().await.status, StatusCode::CREATED, "{number}");
    }
    let end = world.audit_end().await;
    let refused = push().await;
    assert_eq!((refused.status.as_u16(), waiting(&world).await), (429, 100), "{}", refused.text);
    assert_eq!(refused.json()["error"], "temporarily_unavailable");
    let wait: u32 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=90).contains(&wait), "{wait}");
    assert_eq!(world.audit_after(end).await[0].outcome, "denied");
    let other = world.register(&application("none", &json!({}))).await;
    let of_other = request(member(&other, "clientId"), REDIRECT_URI, &[]);
    let reply = Reply::to(world.anonymous(Method::POST, "/o/par/").form(&of_other)).await;
    assert_eq!(reply.status, StatusCode::CREATED, "another app is not kept waiting");
    let once = "UPDATE pushed_request SET expires_at = clock_timestamp()
                 WHERE reference_hash = (SELECT reference_hash FROM pushed_from LIMIT 1)";
    world.sql(once).await;
    assert_eq!(push().await.status, StatusCode::CREATED, "as soon as one is over");
    assert_eq!(push().await.status.as_u16(), 429);
}

#[tokio::test]
async fn a_client_that_proves_itself_may_have_any_number_waiting() {
    let world = World::new().await;
    let client = world.register(&application("client_secret_basic", &json!({}))).await;
    let form = request(member(&client, "clientId"), REDIRECT_URI, &[]);
    for _ in 0..101 {
        assert_eq!(world.as_client(&client, "/o/par/", &form[1..]).await.status, StatusCode::CREATED);
    }
    assert_eq!(world.count("SELECT count(*) FROM pushed_from").await, 0);
}

#[tokio::test]
async fn a_confidential_client_proves_itself_when_it_pushes_rfc_9126_2() {
    let world = World::new().await;
    let client = world.register(&application("client_secret_basic", &json!({}))).await;
    let name = member(&client, "clientId");
    let form = request(name, REDIRECT_URI, &[]);
    for (what, request) in [
        ("a name alone", world.anonymous(Method::POST, "/o/par/").form(&form)),
        ("a wrong secret", world.anonymous(Method::POST, "/o/par/").form(&form).basic_auth(name, Some("wrong"))),
    ] {
        let reply = Reply::to(request).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (401, &json!("invalid_client")), "{what}");
    }
    let reply = world.as_client(&client, "/o/par/", &form[1..]).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let (_, parameters) = location(&browser.get(&path(name, member(&reply.json(), "request_uri"))).await);
    let exchange = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", REDIRECT_URI),
        ("code", parameters["code"].as_str()),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(world.as_client(&client, "/o/token/", &exchange).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_client_or_a_deployment_can_ask_for_pushed_requests_alone_rfc_9126_5_and_6() {
    let world = World::new().await;
    let client = world.register(&application("none", &json!({ "requirePushedAuthorizationRequests": true }))).await;
    assert_eq!(client["requirePushedAuthorizationRequests"], json!(true));
    let strict = World::with(&[("REQUIRE_PUSHED_AUTHORIZATION_REQUESTS", "true")]).await;
    let of_strict = strict.register(&application("none", &json!({}))).await;
    for (world, client) in [(&world, &client), (&strict, &of_strict)] {
        let name = member(client, "clientId");
        let form = request(name, REDIRECT_URI, &[]);
        let browser = Browser::signed_in(world, "manager_mary").await;
        let plain = browser.get(&with_query("/o/authorize/", &form)).await;
        let (to, parameters) = location(&plain);
        assert_eq!((to.as_str(), parameters["error"].as_str()), (REDIRECT_URI, "invalid_request"));
        let reply = Reply::to(world.anonymous(Method::POST, "/o/par/").form(&form)).await;
        let (_, parameters) = location(&browser.get(&path(name, member(&reply.json(), "request_uri"))).await);
        assert!(parameters.contains_key("code"), "{parameters:?}");
    }
    for (world, required) in [(&world, false), (&strict, true)] {
        for document in ["/o/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
            let metadata: Value = Reply::to(world.anonymous(Method::GET, document)).await.json();
            assert_eq!(metadata["pushed_authorization_request_endpoint"], json!(format!("{}/o/par/", world.base)));
            assert_eq!(metadata["require_pushed_authorization_requests"], json!(required));
        }
    }
}
