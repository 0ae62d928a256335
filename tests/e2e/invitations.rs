//! Invitations: who may issue one, what it is worth, how long and how often, and where its token is never found.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use end_to_end::{World, answer};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const CREATE: &str = "/api/v1/invitation";

/// An invitation of Peter's `CareX` app by Megan: the answer's body.
async fn invited(world: &World) -> Value {
    let (status, body) = world.post("member_megan", CREATE, &json!({ "patientId": 40001, "client_id": 1 })).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body
}

fn token_of(invitation: &Value) -> &str {
    invitation["token"].as_str().expect("a token")
}

async fn redeem(world: &World, token: &str) -> (StatusCode, Value) {
    answer(world.anonymous(Method::POST, &format!("{CREATE}/{token}"))).await
}

/// What the app does with an answer: the exchange of its code, with the verifier that the token makes.
async fn exchanged(world: &World, redeemed: &Value, token: &str) -> (StatusCode, Value) {
    let mut form: Vec<(String, String)> = redeemed["grant"]
        .as_object()
        .expect("a grant")
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()))
        .collect();
    form.push(("code_verifier".to_owned(), URL_SAFE_NO_PAD.encode(token)));
    answer(world.anonymous(Method::POST, "/o/token/").form(&form)).await
}

#[tokio::test]
async fn an_invited_app_becomes_the_patients_app() {
    let world = World::new().await;
    let invitation = invited(&world).await;
    let token = token_of(&invitation);
    assert_eq!((token.len(), token.bytes().all(|byte| byte.is_ascii_alphanumeric())), (32, true), "{token}");
    let host = world.base.strip_prefix("http://").expect("a host").replace(':', "%3A");
    for (name, expected) in [
        ("id", json!(101)),
        ("patientId", json!(40001)),
        ("client_id", json!(1)),
        ("status", json!("issued")),
        ("invitationLink", json!(format!("https://carex.ai/invitation/{host}_{token}"))),
    ] {
        assert_eq!(invitation[name], expected, "{name}");
    }
    let mut keys: Vec<&str> = invitation.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["client_id", "id", "invitationLink", "lastUpdated", "patientId", "status", "token", "tokenHash"]);

    let end = world.audit_end().await;
    let (status, redeemed) = redeem(&world, token).await;
    assert_eq!(status, StatusCode::OK, "{redeemed}");
    assert!(!world.is_verified("ll_patient_peter").await, "a coordinator passed the token on");
    assert_eq!(redeemed["token_endpoint"], format!("{}/o/token/", world.base));
    assert_eq!(redeemed["grant"]["grant_type"], "authorization_code");
    assert_eq!(redeemed["grant"]["client_id"], "T6hjXsAUCfU0IAoYwp13FlQFJfAZsotfbyKtyIsL");
    let expires: jiff::Timestamp = redeemed["expires"].as_str().expect("an instant").parse().expect("an instant");
    assert!((expires - jiff::Timestamp::now()).get_seconds() <= 60, "{expires}");
    let event = world.audit_after(end).await.pop().expect("a record");
    assert_eq!(
        (event.resource_type.as_str(), event.outcome.as_str(), event.patients),
        ("Invitation", "allowed", vec![40001])
    );

    let (status, tokens) = exchanged(&world, &redeemed, token).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert_eq!(tokens["scope"], "openid email");
    let me = world
        .anonymous(Method::GET, "/api/v1/patients/me")
        .bearer_auth(tokens["access_token"].as_str().expect("a token"));
    assert_eq!(answer(me).await.1["id"], 40001);
}

#[tokio::test]
async fn the_code_alone_is_worth_nothing() {
    let world = World::new().await;
    let token = token_of(&invited(&world).await).to_owned();
    let (_, redeemed) = redeem(&world, &token).await;
    for wrong in ["a".repeat(32), token.to_lowercase(), String::new()] {
        let (status, body) = exchanged(&world, &redeemed, &wrong).await;
        assert_eq!((status, body.get("access_token")), (StatusCode::BAD_REQUEST, None), "{body}");
    }
}

#[tokio::test]
async fn an_app_that_lost_the_answer_can_redeem_again_within_twelve_hours_of_the_last_time() {
    let world = World::new().await;
    let token = token_of(&invited(&world).await).to_owned();
    let (_, first) = redeem(&world, &token).await;
    assert_eq!(exchanged(&world, &first, &token).await.0, StatusCode::OK);
    for _ in 0..2 {
        world.sql("UPDATE invitation SET redeemed_at = clock_timestamp() - interval '11 hours 59 minutes'").await;
        let (status, again) = redeem(&world, &token).await;
        assert_eq!(status, StatusCode::OK, "{again}");
        assert_ne!(again["grant"]["code"], first["grant"]["code"]);
        assert_eq!(exchanged(&world, &again, &token).await.0, StatusCode::OK);
    }
    world.sql("UPDATE invitation SET redeemed_at = clock_timestamp() - interval '12 hours 1 second'").await;
    let refused = (StatusCode::CONFLICT, json!({ "detail": "Invitation has already been used." }));
    assert_eq!(redeem(&world, &token).await, refused);
}

#[tokio::test]
async fn an_invitation_that_is_worth_nothing_says_why() {
    let world = World::new().await;
    let used = json!({ "detail": "Invitation has already been used." });
    for (spoil, status, body) in [
        ("UPDATE invitation SET status = 'cancelled'", 403, json!({ "detail": "Invitation has been cancelled." })),
        ("UPDATE invitation SET expires_at = clock_timestamp()", 410, json!({ "detail": "Invitation has expired." })),
        ("UPDATE invitation SET status = 'reissued'", 409, used.clone()),
    ] {
        let token = token_of(&invited(&world).await).to_owned();
        world.sql(spoil).await;
        let end = world.audit_end().await;
        let (answered, said) = redeem(&world, &token).await;
        assert_eq!((answered.as_u16(), said), (status, body), "{spoil}");
        let event = world.audit_after(end).await.pop().expect("a record");
        assert_eq!((event.outcome.as_str(), event.refused_by.as_deref()), ("denied", Some("token")), "{spoil}");
    }
    let (earlier, later) = (invited(&world).await, invited(&world).await);
    assert_eq!(redeem(&world, token_of(&earlier)).await, (StatusCode::CONFLICT, used));
    assert_eq!(redeem(&world, token_of(&later)).await.0, StatusCode::OK);
    assert_eq!(world.count("SELECT count(*) FROM oauth_code").await, 1);
}

#[tokio::test]
async fn an_invitation_lives_seven_days() {
    let world = World::new().await;
    invited(&world).await;
    let rows = world.sql("SELECT extract(epoch FROM expires_at - issued_at)::float8 FROM invitation").await;
    let lifetime: f64 = rows[0].get(0);
    // The two times are told by two clocks: the function's and the database's.
    assert!((lifetime - 604_800.0).abs() < 30.0, "{lifetime}");
}

#[tokio::test]
async fn a_new_invitation_ends_only_open_ones_of_the_same_patient_and_app() {
    let world = World::new().await;
    let redeemed = token_of(&invited(&world).await).to_owned();
    assert_eq!(redeem(&world, &redeemed).await.0, StatusCode::OK);
    let mut others = Vec::new();
    for (patient, client) in [(40001, 2), (40002, 1)] {
        let (_, body) = world.post("member_megan", CREATE, &json!({ "patientId": patient, "client_id": client })).await;
        others.push(token_of(&body).to_owned());
    }
    invited(&world).await;
    for token in others.iter().chain([&redeemed]) {
        assert_eq!(redeem(&world, token).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_token_that_no_invitation_has_is_not_found_whatever_it_looks_like() {
    let world = World::new().await;
    let token = token_of(&invited(&world).await).to_owned();
    let not_found = (StatusCode::NOT_FOUND, json!({ "detail": "Invitation not found or already used." }));
    let swapped: String = token
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    let hash = world.sql("SELECT encode(token_hash, 'hex') FROM invitation").await[0].get::<_, String>(0);
    for bad in [
        "8NG3Sz7fULsoyypl9vmutzYOa6kkbgny",
        &swapped,
        &token[1..],
        &format!("{token}a"),
        &hash,
        "101",
        "%00",
        "%27%20OR%201%3D1",
        "..%2F..",
        "a",
    ] {
        let end = world.audit_end().await;
        assert_eq!(redeem(&world, bad).await, not_found, "{bad}");
        assert_eq!(world.audit_after(end).await.len(), 1, "{bad} is recorded");
    }
    assert_eq!(redeem(&world, &token).await.0, StatusCode::OK);
}

#[tokio::test]
async fn members_and_managers_of_the_patients_organization_invite_and_nobody_else() {
    let world = World::new().await;
    let (peter, percy, paul) = (40001, 40003, 40004);
    for (user, patient, expected) in [
        ("member_megan", peter, 201),
        ("manager_mary", peter, 201),
        ("admin", peter, 201),
        ("viewer_victor", peter, 403),
        ("three_org_tom", peter, 403),
        ("three_org_tom", percy, 201),
        ("three_org_tom", paul, 201),
        ("manager_mark", percy, 201),
        ("manager_mark", peter, 404),
        ("manager_mark", paul, 404),
        ("member_megan", percy, 404),
        ("member_megan", 49999, 404),
        ("admin", 49999, 404),
        ("ll_patient_peter", peter, 403),
        ("ll_patient_pamela", peter, 403),
        ("npl_patient_percy", percy, 403),
    ] {
        let before = world.count("SELECT count(*) FROM invitation").await;
        let end = world.audit_end().await;
        let (status, body) = world.post(user, CREATE, &json!({ "patientId": patient, "client_id": 1 })).await;
        assert_eq!(status.as_u16(), expected, "{user} {patient}: {body}");
        let issued = world.count("SELECT count(*) FROM invitation").await - before;
        assert_eq!(issued, i64::from(expected == 201), "{user} {patient}");
        let events = world.audit_after(end).await;
        let outcome = if expected == 201 { "allowed" } else { "denied" };
        assert_eq!(events.len(), 1, "{user} {patient}");
        assert_eq!((events[0].outcome.as_str(), events[0].privileged), (outcome, user == "admin"), "{user} {patient}");
    }
}

#[tokio::test]
async fn what_an_invitation_needs_is_named() {
    let world = World::new().await;
    for (body, field) in [
        (json!({ "client_id": 1 }), "patientId"),
        (json!({ "patientId": 40001 }), "client_id"),
        (json!({ "patientId": "x", "client_id": 1 }), "patientId"),
        (json!({ "patientId": 40001, "client_id": 99 }), "client_id"),
        (json!({ "patientId": 40001, "client_id": 1, "sendEmail": "yes" }), "sendEmail"),
        (json!({ "patientId": 40001, "client_id": 1, "email": "somebody@example.com" }), "email"),
        (json!({ "patientId": 40001, "client_id": 1, "expires": 60 }), "expires"),
    ] {
        let (status, answer) = world.post("member_megan", CREATE, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
        let names: Vec<&String> = answer.as_object().expect("fields").keys().collect();
        assert_eq!(names, [field], "{body}: {answer}");
    }
    // The client is named as OAuth 2.0 writes it.
    let (status, answer) = world.post("member_megan", CREATE, &json!({ "patientId": 40001, "clientId": 1 })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    assert!(answer.get("client_id").is_some() && answer.get("clientId").is_some(), "{answer}");
    for spelled in [
        json!({ "patient_id": 40001, "client_id": 1, "send_email": false }),
        json!({ "patientId": 40001, "client_id": 1, "sendEmail": false }),
    ] {
        assert_eq!(world.post("member_megan", CREATE, &spelled).await.0, StatusCode::CREATED, "{spelled}");
    }
}

#[tokio::test]
async fn the_token_of_an_invitation_and_its_code_are_kept_nowhere() {
    let world = World::new().await;
    let token = token_of(&invited(&world).await).to_owned();
    let (_, redeemed) = redeem(&world, &token).await;
    let code = redeemed["grant"]["code"].as_str().expect("a code");
    let verifier = URL_SAFE_NO_PAD.encode(&token);
    exchanged(&world, &redeemed, &token).await;
    redeem(&world, "8NG3Sz7fULsoyypl9vmutzYOa6kkbgny").await;
    for secret in [token.as_str(), code, &verifier, "8NG3Sz7fULsoyypl9vmutzYOa6kkbgny"] {
        assert_eq!(world.tables_with(secret).await, [""; 0]);
    }
}
