//! Where an authorization response goes, and who says that it comes from here.

use end_to_end::{
    World,
    browser::{Browser, CHALLENGE, CLIENT, VERIFIER, location, with_query},
};
use reqwest::StatusCode;

/// The answer to a right request, but for its redirect URI and its scope.
async fn ask(world: &World, redirect_uri: &str, scope: &str) -> end_to_end::reply::Reply {
    let browser = Browser::signed_in(world, "manager_mary").await;
    let parameters = [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", redirect_uri),
        ("scope", scope),
        ("state", "st"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    browser.get(&with_query("/o/authorize/", &parameters)).await
}

#[tokio::test]
async fn every_authorization_response_names_its_issuer_rfc_9207_2() {
    let world = World::new().await;
    let uri = world.redirect_uri().await;
    for (scope, member) in [("openid", "code"), ("nothing-of-the-clients", "error")] {
        let (to, parameters) = location(&ask(&world, &uri, scope).await);
        assert_eq!(to, uri);
        assert!(parameters.contains_key(member), "{scope}: {parameters:?}");
        assert_eq!(parameters["iss"], format!("{}/o", world.base), "{scope}");
        assert_eq!(parameters["state"], "st", "{scope}");
    }
}

#[tokio::test]
async fn an_app_on_the_device_listens_on_any_port_of_the_loopback_address_rfc_8252_7_3() {
    let world = World::new().await;
    world
        .sql("UPDATE oauth_client SET redirect_uris = '{http://127.0.0.1/cb,http://[::1]:7000/cb,http://localhost:8000/cb}' WHERE id = 4")
        .await;
    for (uri, passes) in [
        ("http://127.0.0.1/cb", true),
        ("http://127.0.0.1:1/cb", true),
        ("http://127.0.0.1:65535/cb", true),
        ("http://[::1]:50123/cb", true),
        ("http://127.0.0.1:50123/cb/", false),
        ("http://127.0.0.1:50123/cb?x=1", false),
        ("https://127.0.0.1:50123/cb", false),
        ("http://127.0.0.1:65536/cb", false),
        ("http://127.0.0.1:@evil.example/cb", false),
        ("http://127.0.0.2:50123/cb", false),
        ("http://localhost:8001/cb", false),
    ] {
        let reply = ask(&world, uri, "openid").await;
        let expected = if passes { StatusCode::FOUND } else { StatusCode::BAD_REQUEST };
        assert_eq!(reply.status, expected, "{uri}");
        if !passes {
            continue;
        }
        let (to, parameters) = location(&reply);
        assert_eq!(to, uri);
        let code = &parameters["code"];
        let other_port = exchange(&world, code, "http://127.0.0.1:2/cb").await;
        assert_eq!(other_port, StatusCode::BAD_REQUEST, "{uri}: at the exchange it is the same URI, port and all");
        assert_eq!(exchange(&world, code, uri).await, StatusCode::OK, "{uri}");
    }
}

async fn exchange(world: &World, code: &str, redirect_uri: &str) -> StatusCode {
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("redirect_uri", redirect_uri),
        ("code", code),
        ("code_verifier", VERIFIER),
    ];
    world.token_request(&form).await.0
}
