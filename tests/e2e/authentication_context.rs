//! How somebody signed in is told to clients, and decides what their tokens open (OpenID Connect Core 1.0, RFC 8176, RFC 9470,
//! OWASP ASVS 10.3.4).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use end_to_end::{
    World, answer,
    application::{application, member},
    browser::{Browser, VERIFIER, email, location},
    id_token::{jwks, verified},
    reply::Reply,
    totp::code,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use standalone::demo::PASSWORD;

const ONE: &str = "urn:jupyterhealth:acr:one-factor";
const TWO: &str = "urn:jupyterhealth:acr:two-factors";
const FHIR: &str = "/FHIR/R5/Patient?_summary=count";

/// The tokens for a browser in which somebody is signed in.
async fn tokens_in(world: &World, browser: &Browser<'_>) -> Value {
    let (_, parameters) = location(&browser.get(&world.authorize_path().await).await);
    let code = parameters.get("code").unwrap_or_else(|| panic!("no code: {parameters:?}"));
    let (status, tokens) = world.exchange(code, VERIFIER).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    tokens
}

async fn claims(world: &World, tokens: &Value) -> Value {
    verified(member(tokens, "id_token"), &jwks(&world.base).await).expect("a good signature")
}

/// Sets up an authenticator for a user: its secret.
async fn enrolled(world: &World, browser: &Browser<'_>) -> String {
    let (secret, reply) = browser.enrol().await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    // The code that confirmed it is used up; the tests need not wait for the next one.
    world.sql("UPDATE totp_factor SET last_step = 0").await;
    secret
}

async fn profile(world: &World, tokens: &Value) -> Reply {
    Reply::to(world.anonymous(Method::GET, "/api/v1/users/profile").bearer_auth(member(tokens, "access_token"))).await
}

#[tokio::test]
async fn an_id_token_says_how_and_when_its_user_signed_in() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let weak = tokens_in(&world, &browser).await;
    let told = claims(&world, &weak).await;
    assert_eq!((&told["acr"], &told["amr"]), (&json!(ONE), &json!(["pwd"])));
    let secret = enrolled(&world, &browser).await;
    let told = claims(&world, &tokens_in(&world, &browser).await).await;
    assert_eq!(told["acr"], TWO, "who sets up a factor has used it");

    let other = Browser::new(&world);
    other.sign_in(&email("manager_mary"), PASSWORD, "/").await;
    other.second_step(&code(&secret, 0)).await;
    let strong = tokens_in(&world, &other).await;
    let told = claims(&world, &strong).await;
    assert_eq!((&told["acr"], &told["amr"]), (&json!(TWO), &json!(["pwd", "otp", "mfa"])));
    world.sql("UPDATE oauth_grant SET auth_time = auth_time - interval '1 hour'").await;
    let (status, renewed) = world.refresh(member(&strong, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK, "{renewed}");
    let renewed_claims = claims(&world, &renewed).await;
    // OpenID Connect Core 12.2: the time of the sign-in, not of the refresh.
    let signed_in = told["auth_time"].as_i64().expect("a time");
    assert_eq!(renewed_claims["acr"], TWO);
    assert_eq!(renewed_claims["auth_time"], signed_in - 3600);
}

#[tokio::test]
async fn a_client_that_asks_for_two_factors_gets_them_from_who_has_them() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let asks = async |values: &str| {
        let values = values.replace(' ', "+").replace(':', "%3A");
        format!("{}&acr_values={values}", world.authorize_path().await)
    };
    let (two, one_first) = (asks(TWO).await, asks(&format!("{ONE} {TWO}")).await);
    let gets_code = async |path: &str| location(&browser.get(path).await).1.contains_key("code");
    assert!(gets_code(&two).await, "who has none is signed in as they are");
    let secret = enrolled(&world, &browser).await;
    // As if the browser had been signed in before, and the factor was set up in another.
    world.sql("UPDATE login_session SET methods = '{pwd}'").await;
    assert!(gets_code(&one_first).await);
    assert!(gets_code(&format!("{two}&prompt=none")).await, "nobody can be asked");
    let (to, parameters) = location(&browser.get(&two).await);
    assert_eq!(to, "/accounts/login/");
    browser.sign_in(&email("manager_mary"), PASSWORD, &parameters["next"]).await;
    browser.second_step(&code(&secret, 0)).await;
    let (_, answered) = location(&browser.get(&parameters["next"]).await);
    let (_, tokens) = world.exchange(&answered["code"], VERIFIER).await;
    assert_eq!(claims(&world, &tokens).await["acr"], TWO);
    let (_, metadata) = answer(world.anonymous(Method::GET, "/o/.well-known/openid-configuration")).await;
    assert_eq!(metadata["acr_values_supported"], json!([ONE, TWO]));
    for claim in ["acr", "amr", "auth_time", "email_verified"] {
        assert!(metadata["claims_supported"].as_array().expect("claims").contains(&json!(claim)), "{claim}");
    }
}

#[tokio::test]
async fn a_weak_sign_in_opens_nothing_once_an_organization_asks_for_two_factors() {
    let world = World::new().await;
    let app = world.register(&application("client_secret_basic", &json!({}))).await;
    let introspected = async |token: &str| {
        let reply = world.as_client(&app, "/o/introspect/", &[("token", token)]).await;
        reply.json()
    };
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let (tokens, others) = (tokens_in(&world, &browser).await, world.tokens("manager_mark").await);
    let apps = world.tokens_of("manager_mary", &app).await;
    assert_eq!(profile(&world, &tokens).await.status, StatusCode::OK);
    let shown = introspected(member(&apps, "access_token")).await;
    assert_eq!((&shown["active"], &shown["acr"]), (&json!(true), &json!(ONE)));
    assert!(shown["auth_time"].is_i64(), "{shown}");

    // Mary is of the organization, Mark is not.
    world.sql("UPDATE organization SET requires_second_factor = true WHERE id = 20003").await;
    let end = world.audit_end().await;
    let refused = profile(&world, &tokens).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("error=\"insufficient_user_authentication\"") && challenge.contains(TWO), "{challenge}");
    let events = world.audit_after(end).await;
    assert_eq!((events[0].resource_type.as_str(), events[0].outcome.as_str()), ("Token", "denied"));
    for path in [FHIR, "/o/userinfo/"] {
        let request = world.anonymous(Method::GET, path).bearer_auth(member(&tokens, "access_token"));
        assert_eq!(Reply::to(request).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(introspected(member(&apps, "access_token")).await, json!({ "active": false }));
    assert_eq!(introspected(member(&apps, "refresh_token")).await, json!({ "active": false }));
    let (status, error) = world.refresh(member(&tokens, "refresh_token")).await;
    assert_eq!((status, &error["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    assert!(!browser.is_in().await, "the browser's session counts no more either");
    assert_eq!(location(&browser.get(&world.authorize_path().await).await).0, "/accounts/login/");
    assert_eq!(profile(&world, &others).await.status, StatusCode::OK, "others are not concerned");

    let reply = browser.sign_in(&email("manager_mary"), PASSWORD, "/").await;
    assert_eq!(reply.header("location"), "/accounts/second-factor/enrol/?next=%2F");
    enrolled(&world, &browser).await;
    let strong = tokens_in(&world, &browser).await;
    assert_eq!(profile(&world, &strong).await.status, StatusCode::OK);
    assert_eq!(profile(&world, &tokens).await.status, StatusCode::UNAUTHORIZED, "the weak token stays weak");
}

#[tokio::test]
async fn a_manager_asks_the_members_of_an_organization_for_two_factors_and_the_audit_has_it() {
    let world = World::new().await;
    let (mary, megan) = (world.tokens("manager_mary").await, world.tokens("member_megan").await);
    let path = "/api/v1/organizations/20003";
    let body = json!({ "requiresSecondFactor": true });
    for (user, status) in [
        ("viewer_victor", StatusCode::FORBIDDEN),
        ("member_megan", StatusCode::FORBIDDEN),
        ("manager_mark", StatusCode::NOT_FOUND),
        ("ll_patient_peter", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(world.send(user, Method::PATCH, path, &body).await.0, status, "{user}");
    }
    assert_eq!(world.get("manager_mary", path).await.1["requiresSecondFactor"], false);
    assert_eq!(world.get("viewer_victor", path).await.1.get("requiresSecondFactor"), None, "it is for managers");
    let (status, problem) =
        world.send("manager_mary", Method::PATCH, path, &json!({ "requiresSecondFactor": 1 })).await;
    assert_eq!((status, problem["requiresSecondFactor"].is_array()), (StatusCode::BAD_REQUEST, true), "{problem}");

    let (status, changed) = world.send("manager_mary", Method::PATCH, path, &body).await;
    assert_eq!((status, &changed["requiresSecondFactor"]), (StatusCode::OK, &json!(true)), "{changed}");
    let rows = world.sql("SELECT before::text, after::text FROM audit_change ORDER BY event_id DESC LIMIT 1").await;
    assert_eq!(rows[0].get::<_, &str>(0), r#"{"requires_second_factor": false}"#);
    assert_eq!(rows[0].get::<_, &str>(1), r#"{"requires_second_factor": true}"#);
    // It counts at once, for the manager too, and for nobody else.
    for tokens in [&mary, &megan] {
        assert_eq!(profile(&world, tokens).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(world.get("manager_mark", "/api/v1/users/profile").await.0, StatusCode::OK);
    let (status, shown) = world.get("admin", path).await;
    assert_eq!((status, &shown["requiresSecondFactor"]), (StatusCode::OK, &json!(true)));
    let (status, changed) =
        world.send("admin", Method::PATCH, path, &json!({ "requiresSecondFactor": false, "name": "Lab" })).await;
    assert_eq!((status, &changed["requiresSecondFactor"]), (StatusCode::OK, &json!(false)));
    assert_eq!(profile(&world, &megan).await.status, StatusCode::OK);
}

// ASVS 6.3.3, 6.3.4
#[tokio::test]
async fn a_super_admin_asks_everybody_for_two_factors_and_no_weaker_way_is_left() {
    let world = World::new().await;
    let tokens = world.tokens("ll_patient_peter").await;
    let invitation = json!({ "patientId": 40001, "client_id": 1 });
    let (_, invited) = world.post("member_megan", "/api/v1/invitation", &invitation).await;
    let root = "/api/v1/organizations/0";
    let body = json!({ "requiresSecondFactor": true });
    assert_eq!(world.send("manager_mary", Method::PATCH, root, &body).await.0, StatusCode::NOT_FOUND);
    assert_eq!(profile(&world, &tokens).await.status, StatusCode::OK);
    let (status, changed) = world.send("admin", Method::PATCH, root, &body).await;
    assert_eq!((status, &changed["requiresSecondFactor"]), (StatusCode::OK, &json!(true)), "{changed}");

    assert_eq!(profile(&world, &tokens).await.status, StatusCode::UNAUTHORIZED, "a password alone");
    for user in ["ll_patient_peter", "manager_mark", "viewer_victor"] {
        let browser = Browser::new(&world);
        let reply = browser.sign_in(&email(user), PASSWORD, "/").await;
        assert_eq!(reply.header("location"), "/accounts/second-factor/enrol/?next=%2F", "{user}");
        assert!(!browser.is_in().await, "{user}");
    }
    // The link of an invitation is one factor.
    let path = format!("/api/v1/invitation/{}", member(&invited, "token"));
    let (_, redeemed) = answer(world.anonymous(Method::POST, &path)).await;
    let verifier = URL_SAFE_NO_PAD.encode(member(&invited, "token"));
    let grant = &redeemed["grant"];
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", member(grant, "client_id")),
        ("redirect_uri", member(grant, "redirect_uri")),
        ("code", member(grant, "code")),
        ("code_verifier", &verifier),
    ];
    let (_, bought) = answer(world.anonymous(Method::POST, "/o/token/").form(&form)).await;
    if bought.get("access_token").is_some() {
        assert_eq!(profile(&world, &bought).await.status, StatusCode::UNAUTHORIZED, "an invitation alone");
    }
    // Who has set one up goes on.
    let browser = Browser::new(&world);
    browser.sign_in(&email("ll_patient_peter"), PASSWORD, "/").await;
    enrolled(&world, &browser).await;
    assert_eq!(profile(&world, &tokens_in(&world, &browser).await).await.status, StatusCode::OK);
}

// ASVS 7.5.3, RFC 9470
#[tokio::test]
async fn a_super_admin_signs_in_anew_before_a_change_where_that_is_asked_for() {
    let world = World::with(&[("REQUIRE_RECENT_SIGN_IN_FOR_SUPER_ADMINS", "true")]).await;
    let register = async || {
        let request = world.request("admin", Method::POST, "/api/v1/clients").json(&application("none", &json!({})));
        Reply::to(request).await
    };
    world.sql("UPDATE oauth_grant SET auth_time = clock_timestamp() WHERE user_id = 10001").await;
    assert_eq!(register().await.status, StatusCode::CREATED);
    world
        .sql("UPDATE oauth_grant SET auth_time = clock_timestamp() - interval '10 minutes' WHERE user_id = 10001")
        .await;
    let end = world.audit_end().await;
    let refused = register().await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let challenge = refused.header("www-authenticate");
    assert!(
        challenge.contains("error=\"insufficient_user_authentication\"") && challenge.contains("max_age=600"),
        "{challenge}"
    );
    assert_eq!(world.audit_after(end).await[0].refused_by.as_deref(), Some("token"));
    let standing = world.send("admin", Method::PATCH, "/api/v1/users/10002", &json!({ "isActive": false })).await.0;
    assert_eq!(standing, StatusCode::UNAUTHORIZED);
    assert_eq!(world.get("admin", "/api/v1/clients").await.0, StatusCode::OK, "reading takes no new sign-in");
}

#[tokio::test]
async fn who_becomes_a_super_admin_needs_a_new_sign_in() {
    for (required, expected) in [("true", StatusCode::UNAUTHORIZED), ("false", StatusCode::OK)] {
        let world = World::with(&[("REQUIRE_SECOND_FACTOR_FOR_SUPER_ADMINS", required)]).await;
        let tokens = world.tokens("manager_mary").await;
        world.sql("UPDATE app_user SET is_superuser = true WHERE id = 10002").await;
        assert_eq!(profile(&world, &tokens).await.status, expected, "{required}");
    }
}

#[tokio::test]
async fn a_practitioners_own_client_signs_nobody_in_and_goes_on() {
    let world = World::new().await;
    let key = world.post("manager_mary", "/api/v1/practitioner_clients", &json!({ "label": "notebook" })).await.1;
    let tokens = async || {
        let request = world.anonymous(Method::POST, "/o/token/").form(&[("grant_type", "client_credentials")]);
        let basic = format!("Basic {}", member(&key, "key"));
        let (status, tokens) = answer(request.header("authorization", basic)).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        tokens
    };
    let before = tokens().await;
    world.sql("UPDATE organization SET requires_second_factor = true").await;
    for tokens in [before, tokens().await] {
        assert_eq!(profile(&world, &tokens).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn an_address_is_verified_when_that_was_shown_openid_connect_5_1() {
    let world = World::new().await;
    for (statement, expected) in [("", false), ("UPDATE app_user SET email_verified_at = clock_timestamp()", true)] {
        if !statement.is_empty() {
            world.sql(statement).await;
        }
        let tokens = world.tokens("manager_mary").await;
        assert_eq!(claims(&world, &tokens).await["email_verified"], expected);
        let (_, renewed) = world.refresh(member(&tokens, "refresh_token")).await;
        assert_eq!(claims(&world, &renewed).await["email_verified"], expected);
        let request = world.anonymous(Method::GET, "/o/userinfo/").bearer_auth(member(&tokens, "access_token"));
        assert_eq!(answer(request).await.1["email_verified"], expected);
    }
}
