//! `POST /o/revoke_token/` (RFC 7009) and `POST /o/introspect/` (RFC 7662).

use end_to_end::{
    World, answer,
    application::{application, member},
    browser::{Browser, CLIENT, VERIFIER, location},
    keys,
    reply::Reply,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn app(world: &World) -> Value {
    world.register(&application("client_secret_basic", &json!({}))).await
}

async fn introspect(world: &World, client: &Value, token: &str) -> Value {
    let reply = world.as_client(client, "/o/introspect/", &[("token", token)]).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    reply.json()
}

async fn refresh(world: &World, client: &Value, token: &str) -> StatusCode {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    world.as_client(client, "/o/token/", &form).await.status
}

#[tokio::test]
async fn a_code_dies_with_its_authorization() {
    for ending in ["every session", "the password", "a second factor", "the app"] {
        let world = World::new().await;
        let browser = Browser::signed_in(&world, "manager_mary").await;
        let code = location(&browser.get(&world.authorize_path().await).await).1["code"].clone();
        match ending {
            "every session" => drop(browser.fill("/accounts/sessions/", &[("all", "")]).await),
            "the password" => {
                let new = "tangerine otter 93";
                let fields = [("password", standalone::demo::PASSWORD), ("new_password", new), ("repeated", new)];
                assert!(browser.fill("/accounts/password/", &fields).await.text.contains("is changed"));
            }
            "a second factor" => {
                drop(world.sql("UPDATE organization SET requires_second_factor = true WHERE id = 20003").await);
            }
            _ => drop(world.sql("UPDATE oauth_client SET deleted_at = clock_timestamp() WHERE id = 4").await),
        }
        let end = world.audit_end().await;
        let stored = world.count("SELECT count(*) FROM access_token").await;
        let (status, answer) = world.exchange(&code, VERIFIER).await;
        assert!(
            status.is_client_error() && keys(&answer) == ["error", "error_description"].into(),
            "{ending}: {answer}"
        );
        if ending != "the app" {
            assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")), "{ending}");
        }
        let events = world.audit_after(end).await;
        let seen: Vec<_> = events.iter().map(|event| (event.outcome.as_str(), event.refused_by.as_deref())).collect();
        assert_eq!(seen, [("denied", Some("token"))], "{ending}");
        assert_eq!(world.count("SELECT count(*) FROM access_token").await, stored, "{ending}");
    }
}

#[tokio::test]
async fn a_revoked_refresh_token_ends_its_grant_on_the_next_request_rfc_7009_2_1() {
    let world = World::new().await;
    let client = app(&world).await;
    let tokens = world.tokens_of("manager_mary", &client).await;
    let unrelated = world.tokens_of("manager_mary", &client).await;
    let (access, held) = (member(&tokens, "access_token"), member(&tokens, "refresh_token"));
    assert!(world.accepts(access).await);
    let end = world.audit_end().await;
    // The hint is not needed, and a wrong one does no harm.
    let form = [("token", held), ("token_type_hint", "access_token")];
    let reply = world.as_client(&client, "/o/revoke_token/", &form).await;
    assert_eq!((reply.status, reply.text.as_str()), (StatusCode::OK, ""));
    let events = world.audit_after(end).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].outcome, "allowed");
    assert!(!world.accepts(access).await, "dead on the next request");
    assert_eq!(refresh(&world, &client, held).await, StatusCode::BAD_REQUEST);
    assert!(world.accepts(member(&unrelated, "access_token")).await, "other grants live on");
    // RFC 7009 2.2: once more is as good.
    assert_eq!(world.as_client(&client, "/o/revoke_token/", &form).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_revoked_access_token_is_dead_and_its_refresh_token_is_not() {
    let world = World::new().await;
    let client = app(&world).await;
    let tokens = world.tokens_of("manager_mary", &client).await;
    let access = member(&tokens, "access_token");
    let reply = world.as_client(&client, "/o/revoke_token/", &[("token", access)]).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(!world.accepts(access).await);
    assert_eq!(introspect(&world, &client, access).await, json!({ "active": false }));
    assert_eq!(refresh(&world, &client, member(&tokens, "refresh_token")).await, StatusCode::OK);
}

#[tokio::test]
async fn nothing_of_another_client_is_revoked_rfc_7009_2_1() {
    let world = World::new().await;
    let (client, other) = (app(&world).await, app(&world).await);
    let tokens = world.tokens_of("manager_mary", &client).await;
    let end = world.audit_end().await;
    for name in ["access_token", "refresh_token"] {
        let reply = world.as_client(&other, "/o/revoke_token/", &[("token", member(&tokens, name))]).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (400, &json!("invalid_grant")), "{name}");
    }
    let events = world.audit_after(end).await;
    assert!(events.iter().all(|event| event.refused_by.as_deref() == Some("token")) && events.len() == 2);
    assert!(world.accepts(member(&tokens, "access_token")).await);
    assert_eq!(refresh(&world, &client, member(&tokens, "refresh_token")).await, StatusCode::OK);
    let long = "a".repeat(5000);
    for unknown in ["unknown", long.as_str()] {
        let reply = world.as_client(&client, "/o/revoke_token/", &[("token", unknown)]).await;
        assert_eq!((reply.status, reply.text.as_str()), (StatusCode::OK, ""), "RFC 7009 2.2");
    }
}

#[tokio::test]
async fn a_public_client_revokes_by_its_name_and_a_confidential_one_must_prove_itself() {
    let world = World::new().await;
    let tokens = world.tokens("manager_mary").await;
    let form = [("token", member(&tokens, "refresh_token")), ("client_id", CLIENT)];
    let revoke = |form: &[(&str, &str)]| answer(world.anonymous(Method::POST, "/o/revoke_token/").form(form));
    assert_eq!(revoke(&form).await, (StatusCode::OK, Value::Null));
    assert!(!world.accepts(member(&tokens, "access_token")).await);

    let client = app(&world).await;
    let tokens = world.tokens_of("manager_mary", &client).await;
    let (access, name) = (member(&tokens, "access_token"), member(&client, "clientId"));
    for form in [
        vec![("token", access)],
        vec![("token", access), ("client_id", name)],
        vec![("token", access), ("client_id", name), ("client_secret", "wrong")],
    ] {
        let (status, body) = revoke(&form).await;
        assert_eq!((status.as_u16(), &body["error"]), (401, &json!("invalid_client")), "{form:?}");
    }
    let in_url = format!("/o/revoke_token/?token={access}&client_id={CLIENT}");
    assert_eq!(answer(world.anonymous(Method::POST, &in_url)).await.1["error"], "invalid_request");
    assert!(world.accepts(access).await);
}

#[tokio::test]
async fn a_client_introspects_its_own_tokens_rfc_7662_2_2() {
    let world = World::new().await;
    let client = app(&world).await;
    let tokens = world.tokens_of("manager_mary", &client).await;
    let access = introspect(&world, &client, member(&tokens, "access_token")).await;
    let members = ["acr", "active", "aud", "auth_time", "client_id", "exp", "iat", "iss", "scope", "sub", "token_type"];
    assert_eq!(keys(&access), members.into());
    assert_eq!((&access["active"], &access["sub"]), (&json!(true), &json!("10002")));
    assert_eq!(access["client_id"], client["clientId"]);
    assert_eq!((&access["scope"], &access["token_type"]), (&json!("openid email"), &json!("Bearer")));
    assert_eq!(access["aud"], json!([world.base]), "who names no resource means this server");
    assert_eq!(access["iss"], json!(format!("{}/o", world.base)));
    let lifetime = access["exp"].as_i64().unwrap() - access["iat"].as_i64().unwrap();
    assert!((895..=901).contains(&lifetime), "{lifetime}");
    let held = introspect(&world, &client, member(&tokens, "refresh_token")).await;
    assert_eq!((&held["active"], held.get("token_type")), (&json!(true), None));
    // What does not work is not active, whatever the reason.
    assert_eq!(refresh(&world, &client, member(&tokens, "refresh_token")).await, StatusCode::OK);
    for token in [member(&tokens, "refresh_token"), member(&tokens, "id_token"), "unknown"] {
        assert_eq!(introspect(&world, &client, token).await, json!({ "active": false }));
    }
    for (spoil, restore) in [
        ("UPDATE access_token SET expires_at = clock_timestamp()", "UPDATE access_token SET expires_at = 'infinity'"),
        ("UPDATE app_user SET is_active = false", "UPDATE app_user SET is_active = true"),
        ("UPDATE oauth_grant SET revoked_at = clock_timestamp()", "UPDATE oauth_grant SET revoked_at = NULL"),
    ] {
        world.sql(spoil).await;
        let token = member(&tokens, "access_token");
        assert_eq!(introspect(&world, &client, token).await, json!({ "active": false }), "{spoil}");
        world.sql(restore).await;
    }
}

#[tokio::test]
async fn a_token_of_another_client_is_shown_to_the_resource_server_that_it_is_for_rfc_7662_4() {
    let world = World::new().await;
    let (client, other) = (app(&world).await, app(&world).await);
    let server = world.register(&application("client_secret_basic", &json!({ "resourceUri": world.base }))).await;
    let elsewhere = json!({ "resourceUri": "https://api.example" });
    let elsewhere = world.register(&application("client_secret_basic", &elsewhere)).await;
    let tokens = world.tokens_of("manager_mary", &client).await;
    let (access, held) = (member(&tokens, "access_token"), member(&tokens, "refresh_token"));
    for token in [access, held] {
        for client in [&other, &elsewhere] {
            assert_eq!(introspect(&world, client, token).await, json!({ "active": false }));
        }
    }
    assert_eq!(introspect(&world, &server, access).await["active"], json!(true));
    assert_eq!(introspect(&world, &server, held).await, json!({ "active": false }), "no business of an API");
}

#[tokio::test]
async fn only_clients_that_prove_who_they_are_introspect_rfc_7662_2_1() {
    let world = World::new().await;
    let tokens = world.tokens("manager_mary").await;
    let access = member(&tokens, "access_token");
    let ask = || world.anonymous(Method::POST, "/o/introspect/");
    let end = world.audit_end().await;
    let attempts = [
        ("a public client", ask().form(&[("token", access), ("client_id", CLIENT)])),
        ("nobody", ask().form(&[("token", access)])),
        ("a token", ask().form(&[("token", access)]).bearer_auth(access)),
        ("a wrong secret", ask().form(&[("token", access)]).basic_auth(CLIENT, Some("secret"))),
    ];
    for (what, request) in attempts {
        let reply = Reply::to(request).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (401, &json!("invalid_client")), "{what}");
        assert!(reply.header("www-authenticate").starts_with("Basic"), "{what}");
    }
    let events = world.audit_after(end).await;
    assert_eq!(events.len(), 4, "each is recorded, nobody too");
    assert!(events.iter().all(|event| event.outcome == "denied"), "{events:?}");
    let clients: Vec<_> = events.iter().map(|event| event.client).collect();
    assert_eq!(clients, [Some(4), None, None, None], "a public client is whoever names it");
    assert_eq!(Reply::to(world.anonymous(Method::GET, "/o/introspect/")).await.status.as_u16(), 405);
}
