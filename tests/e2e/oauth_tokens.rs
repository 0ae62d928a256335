//! Codes, access tokens and refresh tokens: how long they live, how often they work, and what is kept of them.

use end_to_end::{
    World, answer,
    browser::{Browser, CLIENT, VERIFIER, location},
    reply::Reply,
};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap_or_else(|| panic!("no {name}: {tokens}"))
}

fn assert_invalid_grant(what: &str, (status, body): &(StatusCode, Value)) {
    assert_eq!((*status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")), "{what}: {body}");
    assert!(body.get("access_token").is_none(), "{what}");
}

#[tokio::test]
async fn a_code_needs_the_verifier_the_redirect_uri_and_the_client_that_it_was_issued_for() {
    let world = World::new().await;
    world.sql("UPDATE oauth_client SET redirect_uris = array_append(redirect_uris, 'https://second.example/cb')").await;
    let redirect_uri = world.redirect_uri().await;
    let code = world.code("manager_mary").await;
    let verifier_of_another = "a".repeat(43);
    let carex = "T6hjXsAUCfU0IAoYwp13FlQFJfAZsotfbyKtyIsL";
    let exchange = async |code: &str, redirect_uri: &str, client: &str, verifier: Option<&str>| {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("client_id", client),
        ];
        form.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        world.token_request(&form).await
    };
    let challenge_as_verifier = end_to_end::browser::CHALLENGE;
    for (what, uri, client, verifier) in [
        ("another verifier", redirect_uri.as_str(), CLIENT, verifier_of_another.as_str()),
        ("the challenge itself", &redirect_uri, CLIENT, challenge_as_verifier),
        ("another redirect URI of the client", "https://second.example/cb", CLIENT, VERIFIER),
        ("another client", &redirect_uri, carex, VERIFIER),
    ] {
        assert_invalid_grant(what, &exchange(&code, uri, client, Some(verifier)).await);
    }
    for (what, verifier) in [("no verifier", None), ("an empty one", Some("")), ("a short one", Some("abc"))] {
        let (status, body) = exchange(&code, &redirect_uri, CLIENT, verifier).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{what}: {body}");
        assert!(body.get("access_token").is_none(), "{what}");
    }
    assert_invalid_grant("a made-up code", &exchange(&"c".repeat(43), &redirect_uri, CLIENT, Some(VERIFIER)).await);
    assert_eq!(world.count("SELECT count(*) FROM access_token a JOIN oauth_grant g ON g.id = a.grant_id JOIN oauth_code USING (grant_id)").await, 0);
    let denied = world.count("SELECT count(*) FROM audit_event WHERE resource_type = 'Token' AND outcome = 'denied' AND refused_by = 'token'").await;
    assert!(denied >= 5, "{denied} refusals recorded");
    // Whoever tries without the verifier must not take the code away from the client that has it.
    assert_eq!(world.exchange(&code, VERIFIER).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_code_lives_sixty_seconds() {
    let world = World::new().await;
    let code = world.code("manager_mary").await;
    let rows = world.sql("SELECT extract(epoch FROM expires_at - issued_at)::float8 FROM oauth_code").await;
    let lifetime: f64 = rows[0].get(0);
    // The two times are told by two clocks: the function's and the database's.
    assert!((55.0..=61.0).contains(&lifetime), "{lifetime}");
    world.sql("UPDATE oauth_code SET expires_at = clock_timestamp()").await;
    assert_invalid_grant("expired", &world.exchange(&code, VERIFIER).await);
}

#[tokio::test]
async fn a_code_works_once_and_a_replay_revokes_what_it_bought() {
    let world = World::new().await;
    let code = world.code("manager_mary").await;
    let (status, tokens) = world.exchange(&code, VERIFIER).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    let access = text(&tokens, "access_token");
    assert!(world.accepts(access).await);
    let unrelated = world.tokens("manager_mary").await;

    assert_invalid_grant("replay", &world.exchange(&code, VERIFIER).await);
    assert!(!world.accepts(access).await, "the access token is dead on the next request");
    assert_invalid_grant("its refresh token", &world.refresh(text(&tokens, "refresh_token")).await);
    assert!(world.accepts(text(&unrelated, "access_token")).await, "other grants of the user live on");
}

#[tokio::test]
async fn of_two_exchanges_at_the_same_time_at_most_one_brings_tokens() {
    let world = World::new().await;
    let code = world.code("manager_mary").await;
    let (first, second) = tokio::join!(world.exchange(&code, VERIFIER), world.exchange(&code, VERIFIER));
    let mut statuses = [first.0.as_u16(), second.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_for_its_successor_and_using_it_again_revokes_all_of_them() {
    let world = World::new().await;
    let first = world.tokens("manager_mary").await;
    let (status, second) = world.refresh(text(&first, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    assert_eq!(second["scope"], first["scope"]);
    for name in ["access_token", "refresh_token"] {
        assert_ne!(text(&first, name), text(&second, name), "{name}");
    }
    assert!(world.accepts(text(&second, "access_token")).await);

    assert_invalid_grant("reuse", &world.refresh(text(&first, "refresh_token")).await);
    for tokens in [&first, &second] {
        assert!(!world.accepts(text(tokens, "access_token")).await);
    }
    assert_invalid_grant("the successor", &world.refresh(text(&second, "refresh_token")).await);
}

#[tokio::test]
async fn a_refresh_token_is_bound_to_its_client_its_time_and_its_user() {
    let world = World::new().await;
    let tokens = world.tokens("manager_mary").await;
    let refresh = text(&tokens, "refresh_token");
    let carex = "T6hjXsAUCfU0IAoYwp13FlQFJfAZsotfbyKtyIsL";
    let stolen = [("grant_type", "refresh_token"), ("client_id", carex), ("refresh_token", refresh)];
    assert_invalid_grant("another client", &world.token_request(&stolen).await);
    assert_invalid_grant("an access token", &world.refresh(text(&tokens, "access_token")).await);
    let wider = [
        ("grant_type", "refresh_token"),
        ("client_id", CLIENT),
        ("refresh_token", refresh),
        ("scope", "openid profile"),
    ];
    assert_eq!(world.token_request(&wider).await.1["error"], "invalid_scope");
    world.sql("UPDATE app_user SET is_active = false WHERE id = 10002").await;
    assert_invalid_grant("a deactivated user", &world.refresh(refresh).await);
    world.sql("UPDATE app_user SET is_active = true WHERE id = 10002").await;
    world.sql("UPDATE refresh_token SET expires_at = clock_timestamp()").await;
    assert_invalid_grant("expired", &world.refresh(refresh).await);
}

// ASVS 10.4.8
#[tokio::test]
async fn an_authorization_ends_a_year_after_the_sign_in_however_often_it_is_renewed() {
    let world = World::new().await;
    let mut tokens = world.tokens("manager_mary").await;
    let left = "SELECT round(extract(epoch FROM max(expires_at) - clock_timestamp()))::bigint FROM refresh_token";
    for (age, seconds) in [("0 days", 14 * 86_400), ("350 days", 14 * 86_400), ("360 days", 5 * 86_400)] {
        world.sql(&format!("UPDATE oauth_grant SET auth_time = clock_timestamp() - interval '{age}'")).await;
        let (status, renewed) = world.refresh(text(&tokens, "refresh_token")).await;
        assert_eq!(status, StatusCode::OK, "{age}: {renewed}");
        world.sql("DELETE FROM refresh_token WHERE used_at IS NOT NULL").await;
        let found = world.count(left).await;
        assert!((seconds - 10..=seconds + 1).contains(&found), "{age}: {found}");
        tokens = renewed;
    }
    world.sql("UPDATE oauth_grant SET auth_time = clock_timestamp() - interval '365 days'").await;
    assert_invalid_grant("over", &world.refresh(text(&tokens, "refresh_token")).await);

    let short = World::with(&[("GRANT_SECONDS", "60")]).await;
    let tokens = short.tokens("manager_mary").await;
    assert!(short.count(left).await <= 60, "by setting");
    short.sql("UPDATE oauth_grant SET auth_time = clock_timestamp() - interval '60 seconds'").await;
    assert_invalid_grant("over by setting", &short.refresh(text(&tokens, "refresh_token")).await);
}

// SMART App Launch 2.2, `online_access`
#[tokio::test]
async fn an_authorization_for_the_time_online_ends_with_the_longest_session() {
    let world = World::new().await;
    world.sql("UPDATE oauth_client SET scopes = '{openid,online_access,offline_access}' WHERE id = 4").await;
    for (scope, over) in [("openid online_access", true), ("openid online_access offline_access", false)] {
        let path = world.authorize_path().await.replace("openid+email+offline_access", &scope.replace(' ', "+"));
        let browser = Browser::signed_in(&world, "manager_mary").await;
        let code = location(&browser.get(&path).await).1["code"].clone();
        let (_, tokens) = world.exchange(&code, VERIFIER).await;
        assert_eq!(tokens["scope"], scope);
        world.sql("UPDATE oauth_grant SET auth_time = clock_timestamp() - interval '12 hours'").await;
        let (status, _) = world.refresh(text(&tokens, "refresh_token")).await;
        assert_eq!(status == StatusCode::BAD_REQUEST, over, "{scope}");
    }
}

#[tokio::test]
async fn a_public_client_need_not_name_itself_beside_its_refresh_token_rfc_6749_6() {
    let world = World::new().await;
    let unnamed =
        async |token: &str| world.token_request(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await;
    let first = world.tokens("manager_mary").await;
    let (status, second) = unnamed(text(&first, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    assert!(world.accepts(text(&second, "access_token")).await);

    let end = world.audit_end().await;
    assert_invalid_grant("a made-up one", &unnamed(&"r".repeat(43)).await);
    assert_invalid_grant("an access token", &unnamed(text(&second, "access_token")).await);
    assert_invalid_grant("reuse", &unnamed(text(&first, "refresh_token")).await);
    let refusals = world.audit_after(end).await;
    assert_eq!(refusals.iter().filter(|event| event.refused_by.as_deref() == Some("token")).count(), 3);
    assert!(!world.accepts(text(&second, "access_token")).await, "a reuse ends the family");

    let third = world.tokens("manager_mary").await;
    world
        .sql("UPDATE oauth_client SET token_endpoint_auth_method = 'client_secret_post', secret_hash = sha256('s')")
        .await;
    let (status, body) = unnamed(text(&third, "refresh_token")).await;
    assert_eq!(
        (status, &body["error"]),
        (StatusCode::UNAUTHORIZED, &json!("invalid_client")),
        "a confidential one must"
    );
}

#[tokio::test]
async fn what_the_token_endpoint_does_not_offer_is_refused_by_name() {
    let world = World::new().await;
    for (form, status, error) in [
        (
            vec![("grant_type", "password"), ("client_id", CLIENT), ("username", "a"), ("password", "b")],
            400,
            "unsupported_grant_type",
        ),
        (vec![("grant_type", "client_credentials"), ("client_id", CLIENT)], 400, "unauthorized_client"),
        (vec![("client_id", CLIENT)], 400, "invalid_request"),
        (vec![("grant_type", "refresh_token"), ("client_id", CLIENT)], 400, "invalid_request"),
        (vec![("grant_type", "refresh_token"), ("client_id", "nobody"), ("refresh_token", "x")], 401, "invalid_client"),
    ] {
        let (answered, body) = world.token_request(&form).await;
        assert_eq!((answered.as_u16(), &body["error"]), (status, &json!(error)), "{form:?}: {body}");
    }
    let in_url = format!("/o/token/?grant_type=refresh_token&client_id={CLIENT}&refresh_token=x");
    assert_eq!(answer(world.anonymous(Method::POST, &in_url)).await.1["error"], "invalid_request");
    let reply = Reply::to(world.anonymous(Method::POST, "/o/token/").form(&[("grant_type", "password")])).await;
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_token_counts_in_the_authorization_header_only() {
    let world = World::new().await;
    let token = world.token("viewer_victor");
    let get = |path: String| world.anonymous(Method::GET, &path);
    let search = || world.anonymous(Method::POST, "/FHIR/R5/Observation/_search");
    for (what, request) in [
        ("the query", get(format!("/api/v1/users/profile?access_token={token}"))),
        ("the query of FHIR", get(format!("/FHIR/R5/Observation?patient=40001&access_token={token}"))),
        ("the query, by another name", get(format!("/api/v1/users/profile?token={token}"))),
        ("a form", search().form(&[("access_token", token), ("patient", "40001")])),
        (
            "a cookie",
            get("/api/v1/users/profile".to_owned())
                .header(header::COOKIE, format!("jhe_session={token}; access_token={token}")),
        ),
        (
            "another scheme",
            get("/api/v1/users/profile".to_owned()).header(header::AUTHORIZATION, format!("Basic {token}")),
        ),
        ("no scheme", get("/api/v1/users/profile".to_owned()).header(header::AUTHORIZATION, token)),
        ("another header", get("/api/v1/users/profile".to_owned()).header("x-access-token", token)),
        ("a header sent twice", get("/api/v1/users/profile".to_owned()).bearer_auth(token).bearer_auth(token)),
    ] {
        assert_eq!(Reply::to(request).await.status, StatusCode::UNAUTHORIZED, "{what}");
    }
    assert!(world.accepts(token).await);
}

#[tokio::test]
async fn an_expired_token_and_a_deactivated_users_token_are_refused_and_recorded() {
    let world = World::new().await;
    let token = text(&world.tokens("manager_mary").await, "access_token").to_owned();
    let rows = world.sql("SELECT count(*) FROM access_token WHERE expires_at BETWEEN clock_timestamp() + interval '14 minutes' AND clock_timestamp() + interval '15 minutes'").await;
    assert_eq!(rows[0].get::<_, i64>(0), 1, "fifteen minutes");
    assert!(world.accepts(&token).await);
    for (spoil, restore) in [
        (
            "UPDATE app_user SET is_active = false WHERE id = 10002",
            "UPDATE app_user SET is_active = true WHERE id = 10002",
        ),
        (
            "UPDATE oauth_grant SET revoked_at = clock_timestamp() WHERE user_id = 10002",
            "UPDATE oauth_grant SET revoked_at = NULL",
        ),
        ("UPDATE access_token SET expires_at = clock_timestamp()", "SELECT 1"),
    ] {
        world.sql(spoil).await;
        let end = world.audit_end().await;
        assert!(!world.accepts(&token).await, "{spoil}");
        let events = world.audit_after(end).await;
        assert_eq!(events.len(), 1, "{spoil}");
        assert_eq!((events[0].outcome.as_str(), events[0].refused_by.as_deref()), ("denied", Some("token")), "{spoil}");
        let fhir = world.anonymous(Method::GET, "/FHIR/R5/Patient").bearer_auth(&token);
        Reply::to(fhir).await.refusal(401, spoil);
        world.sql(restore).await;
    }
}

#[tokio::test]
async fn only_hashes_of_tokens_codes_and_sessions_are_kept() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let session = browser.cookie("jhe_session").expect("a session");
    let unused = location(&browser.get(&world.authorize_path().await).await).1["code"].clone();
    let used = location(&browser.get(&world.authorize_path().await).await).1["code"].clone();
    let (_, tokens) = world.exchange(&used, VERIFIER).await;
    let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    let _ = world.refresh(refresh).await;
    let csrf = browser.cookie("csrftoken").expect("the cookie of forms");
    for (what, secret) in [
        ("a session", session.as_str()),
        ("a code", &unused),
        ("a used code", &used),
        ("an access token", access),
        ("a refresh token", refresh),
        ("a demo token", world.token("admin")),
        ("the cookie of forms", &csrf),
        ("an id_token", text(&tokens, "id_token")),
        ("the password", standalone::demo::PASSWORD),
        ("a verifier", VERIFIER),
    ] {
        assert_eq!(world.tables_with(secret).await, [""; 0], "{what} is kept in the clear");
    }
    assert_eq!(world.tables_with("LlPatientPeter").await, ["app_user", "patient"], "the search finds what is there");
    let rows = world.sql("SELECT password_hash FROM app_user WHERE id = 10002").await;
    assert!(rows[0].get::<_, String>(0).starts_with("$argon2id$"));
}
