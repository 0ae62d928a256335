//! Static PKCE, for older apps: only for clients that are set so, and only where the deployment has the pair.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use end_to_end::{World, answer};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/invitation";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: (&str, &str) = ("PATIENT_AUTHORIZATION_CODE_CHALLENGE", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");

/// A world with the pair, where `CareX` is set to static PKCE.
async fn world() -> World {
    let world = World::with(&[CHALLENGE]).await;
    let (status, client) = set(&world, true).await;
    assert_eq!((status, &client["staticPkce"]), (StatusCode::OK, &json!(true)), "{client}");
    world
}

/// Sets the client `CareX` to static PKCE, or back.
async fn set(world: &World, to: bool) -> (StatusCode, Value) {
    world.send("admin", Method::PATCH, "/api/v1/clients/1", &json!({ "staticPkce": to })).await
}

async fn invited(world: &World, client: i32) -> Value {
    let (status, body) = world.post("member_megan", PATH, &json!({ "patientId": 40001, "client_id": client })).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body
}

fn token_of(invitation: &Value) -> &str {
    invitation["token"].as_str().expect("a token")
}

async fn redeem(world: &World, token: &str) -> (StatusCode, Value) {
    answer(world.anonymous(Method::POST, &format!("{PATH}/{token}"))).await
}

/// What an older app does with the link: its token is the code.
async fn exchange(world: &World, client: i32, code: &str, verifier: &str) -> (StatusCode, Value) {
    let rows = world.sql(&format!("SELECT client_id, redirect_uris[1] FROM oauth_client WHERE id = {client}")).await;
    let (client_id, redirect_uri): (String, String) = (rows[0].get(0), rows[0].get(1));
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", &client_id),
        ("redirect_uri", &redirect_uri),
        ("code", code),
        ("code_verifier", verifier),
    ];
    answer(world.anonymous(Method::POST, "/o/token/").form(&form)).await
}

async fn is_peters(world: &World, tokens: &Value) -> bool {
    let token = tokens["access_token"].as_str().expect("a token");
    answer(world.anonymous(Method::GET, "/api/v1/patients/me").bearer_auth(token)).await.1["id"] == 40001
}

#[tokio::test]
async fn an_older_app_exchanges_the_token_of_its_link_once() {
    let world = world().await;
    let invitation = invited(&world, 1).await;
    let (status, tokens) = exchange(&world, 1, token_of(&invitation), VERIFIER).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert!(is_peters(&world, &tokens).await);
    let (_, shown) = world.get("ll_patient_peter", &format!("{PATH}/{}", invitation["id"])).await;
    assert_eq!((&shown["status"], shown["redeemedFrom"].is_string()), (&json!("redeemed"), true), "{shown}");

    // RFC 6749 section 4.1.2: a replay ends what the code bought.
    let (status, body) = exchange(&world, 1, token_of(&invitation), VERIFIER).await;
    assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    let token = tokens["access_token"].as_str().expect("a token");
    let me = answer(world.anonymous(Method::GET, "/api/v1/patients/me").bearer_auth(token)).await;
    assert_eq!(me.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_code_of_a_set_client_answers_to_the_fixed_verifier_only() {
    let world = world().await;
    let invitation = invited(&world, 1).await;
    let (status, redeemed) = redeem(&world, token_of(&invitation)).await;
    assert_eq!(status, StatusCode::OK, "{redeemed}");
    let code = redeemed["grant"]["code"].as_str().expect("a code");
    let own = URL_SAFE_NO_PAD.encode(token_of(&invitation));
    assert_eq!(exchange(&world, 1, code, &own).await.0, StatusCode::BAD_REQUEST);
    let (status, tokens) = exchange(&world, 1, code, VERIFIER).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert!(is_peters(&world, &tokens).await);
    let again = exchange(&world, 1, token_of(&invitation), VERIFIER).await;
    assert_eq!(again.0, StatusCode::BAD_REQUEST, "it was redeemed the other way");
}

#[tokio::test]
async fn a_client_that_is_not_set_so_never_takes_the_fixed_verifier() {
    let world = world().await;
    let invitation = invited(&world, 2).await;
    let token = token_of(&invitation);
    assert_eq!(exchange(&world, 2, token, VERIFIER).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(world.count("SELECT count(*) FROM oauth_code").await, 0);
    let (_, redeemed) = redeem(&world, token).await;
    let code = redeemed["grant"]["code"].as_str().expect("a code");
    assert_eq!(exchange(&world, 2, code, VERIFIER).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(exchange(&world, 2, code, &URL_SAFE_NO_PAD.encode(token)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn no_client_is_set_so_unless_somebody_does_it() {
    let world = World::with(&[CHALLENGE]).await;
    assert_eq!(world.count("SELECT count(*) FROM oauth_client WHERE static_pkce").await, 0);
    let invitation = invited(&world, 1).await;
    assert_eq!(exchange(&world, 1, token_of(&invitation), VERIFIER).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_super_admin_sets_a_client_so_and_the_audit_has_it() {
    let world = World::with(&[CHALLENGE]).await;
    let end = world.audit_end().await;
    assert_eq!(set(&world, true).await.0, StatusCode::OK);
    let event = world.audit_after(end).await.pop().expect("a record");
    assert_eq!((event.resource_type.as_str(), event.action.as_str()), ("Client", "update"));
    let changed = "SELECT before = '{\"static_pkce\": false}' AND after = '{\"static_pkce\": true}' FROM audit_change
                    ORDER BY event_id DESC LIMIT 1";
    assert!(world.sql(changed).await[0].get::<_, bool>(0));
    for user in ["manager_mary", "ll_patient_peter"] {
        let body = json!({ "staticPkce": false });
        assert_eq!(
            world.send(user, Method::PATCH, "/api/v1/clients/1", &body).await.0,
            StatusCode::FORBIDDEN,
            "{user}"
        );
    }
    // Not for what invites nobody, and not where the deployment has no pair.
    let body = json!({ "staticPkce": true });
    let (status, problem) = world.send("admin", Method::PATCH, "/api/v1/clients/4", &body).await;
    assert_eq!((status, problem["staticPkce"].is_array()), (StatusCode::BAD_REQUEST, true), "{problem}");
    let without = World::new().await;
    let (status, problem) = set(&without, true).await;
    assert_eq!((status, problem["staticPkce"].is_array()), (StatusCode::BAD_REQUEST, true), "{problem}");
}

#[tokio::test]
async fn without_the_pair_a_set_client_is_not_invited() {
    let world = World::new().await;
    let earlier = invited(&world, 1).await;
    world.sql("UPDATE oauth_client SET static_pkce = true WHERE id = 1").await;
    let (status, body) = world.post("member_megan", PATH, &json!({ "patientId": 40001, "client_id": 1 })).await;
    assert_eq!((status, body["client_id"].is_array()), (StatusCode::BAD_REQUEST, true), "{body}");
    assert_eq!(redeem(&world, token_of(&earlier)).await.0, StatusCode::FORBIDDEN, "nor redeemed");
}

#[tokio::test]
async fn the_token_is_a_code_only_while_the_invitation_is_open_and_the_client_set_so() {
    let world = world().await;
    for spoil in [
        "UPDATE invitation SET status = 'cancelled'",
        "UPDATE invitation SET status = 'reissued'",
        "UPDATE oauth_code SET expires_at = clock_timestamp()",
        "UPDATE oauth_client SET static_pkce = false",
    ] {
        let invitation = invited(&world, 1).await;
        world.sql(spoil).await;
        let (status, body) = exchange(&world, 1, token_of(&invitation), VERIFIER).await;
        assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")), "{spoil}");
    }
}

#[tokio::test]
async fn a_wrong_verifier_or_another_client_gets_nothing() {
    let world = world().await;
    let invitation = invited(&world, 1).await;
    let token = token_of(&invitation);
    let own = URL_SAFE_NO_PAD.encode(token);
    for (client, verifier) in [(1, own.as_str()), (1, CHALLENGE.1), (1, ""), (2, VERIFIER)] {
        let (status, body) = exchange(&world, client, token, verifier).await;
        assert_eq!((status, body.get("access_token")), (StatusCode::BAD_REQUEST, None), "{client} {verifier}: {body}");
    }
    assert_eq!(exchange(&world, 1, token, VERIFIER).await.0, StatusCode::OK);
}
