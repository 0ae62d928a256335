//! What a token is for: `resource` (RFC 8707).

use end_to_end::{
    World,
    application::{REDIRECT_URI, application, member, service},
    browser::{Browser, CHALLENGE, VERIFIER, location, with_query},
    reply::Reply,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const API: &str = "https://api.example/v2";

/// An application and a resource server of somebody else.
async fn parties(world: &World) -> (Value, Value) {
    let server = world.register(&application("client_secret_basic", &json!({ "resourceUri": API }))).await;
    (world.register(&application("client_secret_basic", &json!({}))).await, server)
}

/// A server of somebody else that only asks what tokens are.
#[tokio::test]
async fn a_server_that_only_introspects_is_registered_without_grants_and_scopes_rfc_7662_2_1() {
    let world = World::new().await;
    let more = json!({ "redirectUris": [], "grantTypes": [], "scopes": [], "resourceUri": API });
    let server = world.register(&application("client_secret_basic", &more)).await;
    assert_eq!((&server["grantTypes"], &server["scopes"]), (&json!([]), &json!([])));
    let app = world.register(&application("client_secret_basic", &json!({}))).await;
    let (_, bought) = tokens(&world, &app, &[API], &[]).await;
    let shown = world.as_client(&server, "/o/introspect/", &[("token", member(&bought, "access_token"))]).await.json();
    assert_eq!((&shown["active"], &shown["aud"]), (&json!(true), &json!([API])), "{shown}");
    let (_, own) = tokens(&world, &app, &[], &[]).await;
    let hidden = world.as_client(&server, "/o/introspect/", &[("token", member(&own, "access_token"))]).await.json();
    assert_eq!(hidden, json!({ "active": false }));
    for grant in ["client_credentials", "authorization_code"] {
        let form = [("grant_type", grant), ("code", "x"), ("redirect_uri", REDIRECT_URI), ("code_verifier", VERIFIER)];
        assert_eq!(world.as_client(&server, "/o/token/", &form).await.status, StatusCode::BAD_REQUEST, "{grant}");
    }
    let public = application("none", &more);
    assert_eq!(world.post("admin", "/api/v1/clients", &public).await.0, StatusCode::BAD_REQUEST);
}

/// What comes of an authorization request of Mary's that names resources.
async fn authorize(world: &World, client: &Value, resources: &[&str]) -> std::collections::BTreeMap<String, String> {
    let mut query = vec![
        ("response_type", "code"),
        ("client_id", member(client, "clientId")),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid email"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    query.extend(resources.iter().map(|uri| ("resource", *uri)));
    let reply = Browser::signed_in(world, "manager_mary").await.get(&with_query("/o/authorize/", &query)).await;
    location(&reply).1
}

async fn token(world: &World, client: &Value, form: &[(&str, &str)], resources: &[&str]) -> (u16, Value) {
    let mut form = form.to_vec();
    form.extend(resources.iter().map(|uri| ("resource", *uri)));
    let reply = world.as_client(client, "/o/token/", &form).await;
    (reply.status.as_u16(), reply.json())
}

/// The tokens for a code that was asked for with these resources, when the exchange names those.
async fn tokens(world: &World, client: &Value, granted: &[&str], named: &[&str]) -> (u16, Value) {
    let code = authorize(world, client, granted).await.remove("code").expect("a code");
    let form = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", REDIRECT_URI),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    token(world, client, &form, named).await
}

async fn aud(world: &World, client: &Value, token: &str) -> Value {
    world.as_client(client, "/o/introspect/", &[("token", token)]).await.json()["aud"].clone()
}

/// Which of the FHIR API, the other API and userinfo a token opens.
async fn opened(world: &World, token: &str) -> [bool; 3] {
    let mut opened = [false; 3];
    for (place, path) in ["/FHIR/R5/Patient", "/api/v1/users/profile", "/o/userinfo/"].into_iter().enumerate() {
        let reply = Reply::to(world.anonymous(Method::GET, path).bearer_auth(token)).await;
        assert!([200, 401].contains(&reply.status.as_u16()), "{path}: {}", reply.text);
        opened[place] = reply.status == StatusCode::OK;
    }
    opened
}

#[tokio::test]
async fn a_token_opens_what_it_is_for_and_nothing_else_rfc_8707_2() {
    let world = World::new().await;
    let (client, _) = parties(&world).await;
    let (fhir, lower) = (format!("{}/FHIR/R5", world.base), format!("{}/fhir/r5/", world.base));
    let rest = format!("{}/api/v1", world.base);
    for (resources, opens) in [
        (vec![], [true, true, true]),
        (vec![world.base.as_str()], [true, true, true]),
        (vec![&fhir], [true, false, true]),
        (vec![&lower], [true, false, true]),
        (vec![&rest], [false, true, true]),
        (vec![&fhir, API], [true, false, true]),
        (vec![API], [false, false, false]),
    ] {
        let (status, tokens) = tokens(&world, &client, &resources, &[]).await;
        assert_eq!(status, 200, "{resources:?}: {tokens}");
        let access = member(&tokens, "access_token");
        let end = world.audit_end().await;
        assert_eq!(opened(&world, access).await, opens, "{resources:?}");
        let refused = opens.iter().filter(|open| !**open).count();
        let events = world.audit_after(end).await;
        let recorded = events.iter().filter(|event| event.refused_by.as_deref() == Some("token")).count();
        assert_eq!(recorded, refused, "{resources:?}");
        let told = if resources.is_empty() { vec![world.base.as_str()] } else { resources };
        assert_eq!(aud(&world, &client, access).await, json!(told));
    }
}

#[tokio::test]
async fn a_resource_server_learns_of_the_tokens_that_are_for_it_rfc_7662_4() {
    let world = World::new().await;
    let (client, server) = parties(&world).await;
    for (resources, shown) in [(&[][..], false), (&[world.base.as_str()], false), (&[API], true)] {
        let (_, tokens) = tokens(&world, &client, resources, &[]).await;
        let form = [("token", member(&tokens, "access_token"))];
        let told = world.as_client(&server, "/o/introspect/", &form).await.json();
        assert_eq!(told["active"], json!(shown), "{resources:?}");
        assert_eq!(told.get("sub").is_some(), shown, "{resources:?}");
    }
}

#[tokio::test]
async fn what_nobody_serves_cannot_be_asked_for_rfc_8707_2() {
    let world = World::new().await;
    let (client, server) = parties(&world).await;
    let service = world.register(&service("client_secret_basic", &json!({}))).await;
    let own = [("grant_type", "client_credentials")];
    let other = format!("{}/other", world.base);
    for bad in ["https://unknown.example", "https://api.example", "/FHIR/R5", "https://api.example/v2#x", &other] {
        let parameters = authorize(&world, &client, &[API, bad]).await;
        assert_eq!(parameters["error"], "invalid_target", "{bad}");
        let form = [
            ("response_type", "code"),
            ("redirect_uri", REDIRECT_URI),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", bad),
        ];
        let reply = world.as_client(&client, "/o/par/", &form).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (400, &json!("invalid_target")), "{bad}");
        let (status, answer) = token(&world, &service, &own, &[bad]).await;
        assert_eq!((status, &answer["error"]), (400, &json!("invalid_target")), "{bad}");
    }
    let (status, answer) = token(&world, &service, &own, &[API]).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(opened(&world, member(&answer, "access_token")).await, [false; 3]);
    // A resource ends with its server.
    let path = format!("/api/v1/clients/{}", server["id"]);
    assert_eq!(Reply::to(world.request("admin", Method::DELETE, &path)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(token(&world, &service, &own, &[API]).await.1["error"], "invalid_target");
}

#[tokio::test]
async fn an_exchange_names_what_was_granted_or_less_rfc_8707_2_2() {
    let world = World::new().await;
    let (client, _) = parties(&world).await;
    let fhir = format!("{}/FHIR/R5", world.base);
    for (granted, named) in [(&[][..], API), (&[fhir.as_str()], API), (&[&fhir], &world.base), (&[API], &fhir)] {
        let (status, answer) = tokens(&world, &client, granted, &[named]).await;
        assert_eq!((status, &answer["error"]), (400, &json!("invalid_target")), "{granted:?} {named}");
    }
    let (status, first) = tokens(&world, &client, &[&world.base, API], &[&fhir]).await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(opened(&world, member(&first, "access_token")).await, [true, false, true]);
    let refresh = |token: &str| {
        [("grant_type".to_owned(), "refresh_token".to_owned()), ("refresh_token".to_owned(), token.to_owned())]
    };
    let mut held = member(&first, "refresh_token").to_owned();
    for (named, told) in [(&[API][..], json!([API])), (&[], json!([world.base, API]))] {
        let form = refresh(&held);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (status, renewed) = token(&world, &client, &form, named).await;
        assert_eq!(status, 200, "{renewed}");
        assert_eq!(aud(&world, &client, member(&renewed, "access_token")).await, told, "the grant stays as wide");
        held = member(&renewed, "refresh_token").to_owned();
    }
    let form = [("grant_type", "refresh_token"), ("refresh_token", held.as_str())];
    let (_, refused) = token(&world, &client, &form, &["https://unknown.example"]).await;
    assert_eq!(refused["error"], "invalid_target");
    assert_eq!(token(&world, &client, &form, &[]).await.0, 200, "what was refused used nothing up");
}
