//! `/api/v1/practitioner_clients`: a practitioner's own key, and the grant `client_credentials` (RFC 6749 section 4.4).

use end_to_end::{
    World, answer,
    application::{member, service},
    keys,
};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/practitioner_clients";

async fn made(world: &World, user: &str) -> Value {
    let (status, client) = world.post(user, PATH, &json!({ "label": "notebook" })).await;
    assert_eq!(status, StatusCode::CREATED, "{client}");
    client
}

/// The answer of the token endpoint to a key.
async fn token(world: &World, key: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
    let request = world.anonymous(Method::POST, "/o/token/").header(header::AUTHORIZATION, format!("Basic {key}"));
    answer(request.form(&[&[("grant_type", "client_credentials")], form].concat())).await
}

async fn profile(world: &World, token: &str) -> (StatusCode, Value) {
    answer(world.anonymous(Method::GET, "/api/v1/users/profile").bearer_auth(token)).await
}

#[tokio::test]
async fn a_key_is_told_once_and_acts_as_its_practitioner() {
    let world = World::new().await;
    let client = made(&world, "viewer_victor").await;
    assert_eq!(keys(&client), ["created", "id", "key", "label", "name"].into());
    assert!(member(&client, "name").starts_with("_practitioner_client_80004_"), "{client}");
    let key = member(&client, "key");

    let (status, tokens) = token(&world, key, &[]).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert_eq!(keys(&tokens), ["access_token", "expires_in", "scope", "token_type"].into(), "RFC 6749 4.4.3");
    let (status, user) = profile(&world, member(&tokens, "access_token")).await;
    assert_eq!((status, &user["id"]), (StatusCode::OK, &json!(10004)));
    let observations = world.anonymous(Method::GET, "/FHIR/R5/Observation?patient=40001");
    let (status, bundle) = answer(observations.bearer_auth(member(&tokens, "access_token"))).await;
    assert_eq!((status, bundle["entry"].as_array().map(Vec::len)), (StatusCode::OK, Some(2)));

    let (_, page) = world.get("viewer_victor", PATH).await;
    assert_eq!(page["results"][0]["key"], Value::Null, "told once");
    assert_eq!((&page["results"][0]["id"], &page["count"]), (&client["id"], &json!(1)));
    let decoded = String::from_utf8(base64::Engine::decode(&base64::engine::general_purpose::STANDARD, key).unwrap());
    let secret = decoded.unwrap().split_once(':').unwrap().1.to_owned();
    for text in [key, secret.as_str()] {
        assert_eq!(world.tables_with(text).await, [""; 0], "kept in the clear");
    }
}

#[tokio::test]
async fn a_practitioner_sees_and_ends_only_their_own() {
    let world = World::new().await;
    let client = made(&world, "viewer_victor").await;
    let path = format!("{PATH}/{}", client["id"]);
    assert_eq!(world.get("manager_mary", PATH).await.1["count"], 0);
    assert_eq!(answer(world.request("manager_mary", Method::DELETE, &path)).await.0, StatusCode::NOT_FOUND);
    let (_, tokens) = token(&world, member(&client, "key"), &[]).await;
    assert!(world.accepts(member(&tokens, "access_token")).await);

    assert_eq!(answer(world.request("viewer_victor", Method::DELETE, &path)).await.0, StatusCode::NO_CONTENT);
    assert!(!world.accepts(member(&tokens, "access_token")).await, "its tokens end with it");
    assert_eq!(token(&world, member(&client, "key"), &[]).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(answer(world.request("viewer_victor", Method::DELETE, &path)).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get("viewer_victor", PATH).await.1["count"], 0);
    let shown = world.get("manager_mary", "/api/v1/clients").await.1;
    assert_eq!(shown["count"], 3, "nobody else sees them: {shown}");
}

#[tokio::test]
async fn a_key_does_not_come_back_with_an_account_that_was_ended() {
    for by_delete in [true, false] {
        let world = World::new().await;
        let client = made(&world, "viewer_victor").await;
        let account = "/api/v1/users/10004";
        let end = world.audit_end().await;
        if by_delete {
            assert_eq!(answer(world.request("admin", Method::DELETE, account)).await.0, StatusCode::NO_CONTENT);
        } else {
            let (status, _) = world.send("admin", Method::PATCH, account, &json!({ "isActive": false })).await;
            assert_eq!(status, StatusCode::OK);
        }
        let recorded = format!(
            "SELECT count(*) FROM audit_event WHERE id > {end} AND (detail->>'client')::int = {} AND outcome = 'allowed'",
            client["id"]
        );
        assert_eq!(world.count(&recorded).await, 1);
        let (status, _) = world.send("admin", Method::PATCH, account, &json!({ "isActive": true })).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(token(&world, member(&client, "key"), &[]).await.0, StatusCode::UNAUTHORIZED);
        let ended = format!("SELECT count(*) FROM oauth_client WHERE id = {} AND deleted_at IS NOT NULL", client["id"]);
        assert_eq!(world.count(&ended).await, 1);
    }
}

#[tokio::test]
async fn a_client_makes_lists_and_ends_no_clients() {
    let world = World::new().await;
    let client = made(&world, "viewer_victor").await;
    let other = made(&world, "viewer_victor").await;
    let (_, tokens) = token(&world, member(&client, "key"), &[]).await;
    let access = member(&tokens, "access_token");
    let own = |method: Method, path: &str| world.anonymous(method, path).bearer_auth(access);
    let end = world.audit_end().await;
    for request in [
        own(Method::GET, PATH),
        own(Method::POST, PATH).json(&json!({ "label": "another" })),
        own(Method::DELETE, &format!("{PATH}/{}", client["id"])),
        own(Method::DELETE, &format!("{PATH}/{}", other["id"])),
    ] {
        let (status, told) = answer(request).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{told}");
    }
    let events = world.audit_after(end).await;
    assert_eq!(events.len(), 4);
    assert!(events.iter().all(|event| event.refused_by.as_deref() == Some("user_type")));
    assert_eq!(world.get("viewer_victor", PATH).await.1["count"], 2, "none was made, none ended");
    assert!(world.accepts(access).await);
}

#[tokio::test]
async fn who_is_no_practitioner_has_none_and_the_refusal_is_recorded() {
    let world = World::new().await;
    for user in ["ll_patient_peter", "admin"] {
        let end = world.audit_end().await;
        assert_eq!(world.get(user, PATH).await.0, StatusCode::FORBIDDEN, "{user}");
        assert_eq!(world.post(user, PATH, &json!({ "label": "x" })).await.0, StatusCode::FORBIDDEN, "{user}");
        let delete = world.request(user, Method::DELETE, &format!("{PATH}/1"));
        assert_eq!(answer(delete).await.0, StatusCode::FORBIDDEN, "{user}");
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), 3, "{user}");
        assert!(events.iter().all(|event| event.refused_by.as_deref() == Some("user_type")), "{user}");
    }
    for body in [json!({}), json!({ "label": "" }), json!({ "label": "x", "actsAs": 10001 }), json!({ "label": 1 })] {
        assert_eq!(world.post("viewer_victor", PATH, &body).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
    for _ in 0..20 {
        made(&world, "viewer_victor").await;
    }
    assert_eq!(world.post("viewer_victor", PATH, &json!({ "label": "x" })).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_client_gets_what_it_is_registered_for_and_no_more_rfc_6749_4_4() {
    let world = World::new().await;
    let client = world.register(&service("client_secret_basic", &json!({}))).await;
    let ask = async |form: &[(&str, &str)]| {
        let form = [&[("grant_type", "client_credentials")], form].concat();
        world.as_client(&client, "/o/token/", &form).await
    };
    for (scope, granted) in [("email", "email"), ("email profile", "email"), ("openid email", "openid email")] {
        let reply = ask(&[("scope", scope)]).await;
        assert_eq!((reply.status, &reply.json()["scope"]), (StatusCode::OK, &json!(granted)), "{scope}");
        assert_eq!(reply.json().get("id_token"), None, "nobody signed in");
    }
    assert_eq!(ask(&[("scope", "profile")]).await.json()["error"], "invalid_scope");
    let reply = world.as_client(&client, "/o/token/", &[("grant_type", "refresh_token"), ("refresh_token", "x")]).await;
    assert_eq!(reply.json()["error"], "invalid_grant");
    // Only as long as the account is an active practitioner's, and never a super admin's.
    for (spoil, restore) in [
        (
            "UPDATE app_user SET is_active = false WHERE id = 10002",
            "UPDATE app_user SET is_active = true WHERE id = 10002",
        ),
        (
            "UPDATE app_user SET is_superuser = true WHERE id = 10002",
            "UPDATE app_user SET is_superuser = false WHERE id = 10002",
        ),
    ] {
        world.sql(spoil).await;
        let end = world.audit_end().await;
        let reply = ask(&[]).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (400, &json!("invalid_grant")), "{spoil}");
        assert_eq!(world.audit_after(end).await.len(), 1, "{spoil}");
        world.sql(restore).await;
    }
    let end = world.audit_end().await;
    assert_eq!(ask(&[]).await.status, StatusCode::OK);
    let events = world.audit_after(end).await;
    assert_eq!((events.len(), events[0].outcome.as_str()), (1, "allowed"));
}
