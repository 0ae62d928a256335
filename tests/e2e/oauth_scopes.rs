//! What the scope of a token opens (SMART App Launch 2.2, scopes; RFC 6750 section 3.1).

use crate::{
    matrix_objects,
    rest_matrix::{amending, body, declared, path},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use end_to_end::{
    World, answer,
    browser::{Browser, CHALLENGE, CLIENT, VERIFIER, location, with_query},
    ids, point,
    reply::Reply,
};
use reqwest::{Method, RequestBuilder, StatusCode};
use standalone::routes::Route;

/// The row of the public client, one of the operator's own.
const OWN: i32 = 4;

/// The FHIR routes that need a token: each with its resource type and the letter of what it does.
fn fhir_routes() -> Vec<(Route, String, char)> {
    declared()
        .into_iter()
        .filter(|route| route.path.starts_with("/FHIR/R5") && !route.path.ends_with("metadata"))
        .filter(|route| !route.path.contains("well-known"))
        .map(|route| {
            let parts: Vec<&str> = route.path.trim_matches('/').split('/').collect();
            let (resource, letter) = match (route.method.as_str(), parts.as_slice()) {
                ("POST", ["FHIR", "R5"]) => ("Observation", 'c'),
                ("GET", [_, _, resource]) | ("POST", [_, _, resource, "_search"]) => (*resource, 's'),
                ("GET", [_, _, resource, "{id}"] | [_, _, resource, "{id}", "_history", ..])
                | (_, [_, _, resource, "{id}", "{operation}", ..]) => (*resource, 'r'),
                ("POST", [_, _, resource]) => (*resource, 'c'),
                ("PUT" | "PATCH", [_, _, resource, "{id}"]) => (*resource, 'u'),
                ("DELETE", [_, _, resource, "{id}"]) => (*resource, 'd'),
                other => panic!("which scope opens {other:?}?"),
            };
            // The kind that the requests of the matrix are about.
            let resource = resource.replace("{type}", "QuestionnaireResponse");
            (route, resource, letter)
        })
        .collect()
}

fn request(world: &World, route: &Route, token: &str) -> RequestBuilder {
    let request = world.anonymous(route.method.parse().expect("a method"), &path(route)).bearer_auth(token);
    if route.path.ends_with("/_search") {
        return request.form(&[("_id", "40001")]);
    }
    match body(route, Some("ll_patient_peter")) {
        Some(body) if route.method == "PUT" => amending(request).json(&body),
        Some(body) => request.json(&body),
        None => request,
    }
}

/// Checks that an answer refuses a token for its scope.
fn refused_for_scope(reply: &Reply, what: &str) {
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{what}: {}", reply.text);
    let challenge = reply.header("www-authenticate");
    assert!(
        challenge.starts_with("Bearer ") && challenge.contains("error=\"insufficient_scope\""),
        "{what}: {challenge}"
    );
}

/// A client that is not the operator's own.
async fn foreign_client(world: &World, scopes: &str) -> i32 {
    let rows = world
        .sql(&format!(
            "INSERT INTO oauth_client (client_id, name, redirect_uris, grant_types, scopes)
             VALUES ('other', 'Other', '{{https://other.example/cb}}', '{{authorization_code,refresh_token}}', '{scopes}')
             RETURNING id"
        ))
        .await;
    rows[0].get(0)
}

#[tokio::test]
async fn every_fhir_route_opens_to_its_own_scope_and_to_no_other_smart_2_2() {
    let world = World::new().await;
    let event = matrix_objects::statements("GET /fhir/r5/AuditEvent/{id}").expect("an event of Peter");
    world.as_owner().await.batch_execute(event).await.expect("made");
    let routes = fhir_routes();
    assert!(routes.len() >= 20, "{}", routes.len());
    for (route, resource, letter) in routes {
        let what = format!("{} {}", route.method, route.path);
        let old = if "cud".contains(letter) { "write" } else { "read" };
        for scope in
            [format!("user/{resource}.{letter}"), format!("patient/*.{letter}"), format!("user/{resource}.{old}")]
        {
            let token = world.token_of("ll_patient_peter", OWN, &format!("openid {scope}")).await;
            let reply = Reply::to(request(&world, &route, &token)).await;
            // Peter has no resource that is kept as it came: what opens then is that there is none. And no patient exports a study.
            let is_theirs = !["{type}", "/Group/{id}/{operation}"].iter().any(|part| route.path.contains(part));
            let opens = reply.status.is_success()
                || !is_theirs && !reply.header("www-authenticate").contains("insufficient_scope");
            assert!(opens, "{what} {scope}: {} {}", reply.status, reply.text);
        }
        let others: String = "cruds".chars().filter(|other| *other != letter).collect();
        let known = ["AuditEvent", "Device", "Group", "Observation", "Organization", "Patient", "Practitioner"];
        let elsewhere = known.iter().filter(|other| **other != resource).map(|other| format!("user/{other}.cruds"));
        let elsewhere: Vec<String> = elsewhere.collect();
        let refused = format!(
            "openid user/{resource}.{others} {} system/*.cruds user/{resource}.{letter}?code=x launch/patient",
            elsewhere.join(" ")
        );
        let token = world.token_of("ll_patient_peter", OWN, &refused).await;
        let count = "SELECT count(*) FROM audit_event WHERE refused_by = 'token' AND actor_user_id IS NOT NULL";
        let before = (world.count(count).await, world.count("SELECT count(*) FROM observation").await);
        let reply = Reply::to(request(&world, &route, &token)).await;
        refused_for_scope(&reply, &what);
        assert_eq!(reply.refusal(403, &what)["issue"][0]["code"], "forbidden", "{what}");
        let after = (world.count(count).await, world.count("SELECT count(*) FROM observation").await);
        assert_eq!(after, (before.0 + 1, before.1), "{what}: recorded once, nothing stored");
    }
}

#[tokio::test]
async fn a_scope_of_a_patient_opens_nothing_without_a_patient_in_context() {
    let world = World::new().await;
    let scope = "openid patient/*.cruds";
    let of_patient = world.token_of("ll_patient_peter", OWN, scope).await;
    let (status, bundle) = answer(world.anonymous(Method::GET, "/FHIR/R5/Patient").bearer_auth(&of_patient)).await;
    assert_eq!((status, ids(&bundle)), (StatusCode::OK, vec!["40001".to_owned()]), "their own, and nobody else's");
    for user in ["manager_mary", "admin"] {
        let token = world.token_of(user, OWN, scope).await;
        for path in ["/FHIR/R5/Patient", "/FHIR/R5/Patient/40001", "/FHIR/R5/Observation?patient=40001"] {
            refused_for_scope(&Reply::to(world.anonymous(Method::GET, path).bearer_auth(&token)).await, path);
        }
    }
}

#[tokio::test]
async fn a_scope_never_gives_more_than_the_user_has() {
    let world = World::new().await;
    let token = world.token_of("ll_patient_pamela", OWN, "openid user/*.cruds patient/*.cruds system/*.cruds").await;
    let other = world.anonymous(Method::GET, "/FHIR/R5/Patient/40001").bearer_auth(&token);
    assert_eq!(answer(other).await.0, StatusCode::NOT_FOUND);
    let observation = point::observation(40001, 70001, &point::heart_rate(61, "2026-02-01T08:00:00Z"), "");
    let upload = world.anonymous(Method::POST, "/FHIR/R5/Observation").bearer_auth(&token).json(&observation);
    assert!(answer(upload).await.0.is_client_error());
}

#[tokio::test]
async fn a_token_without_fhir_scopes_opens_data_only_for_clients_of_whole_access() {
    let world = World::new().await;
    let other = foreign_client(&world, "{openid,email}").await;
    let token = world.token_of("ll_patient_peter", other, "openid email").await;
    let me = answer(world.anonymous(Method::GET, "/o/userinfo/").bearer_auth(&token)).await;
    assert_eq!((me.0, &me.1["email"]), (StatusCode::OK, &"ll_patient_peter@example.com".into()), "it is a sign-in");
    let routes = fhir_routes().into_iter().map(|(route, ..)| route);
    for route in routes.chain(api_routes()) {
        refused_for_scope(&Reply::to(request(&world, &route, &token)).await, &route.path);
    }
    world.sql("UPDATE oauth_client SET whole_access = true WHERE client_id = 'other'").await;
    let (status, _) = answer(world.anonymous(Method::GET, "/FHIR/R5/Patient").bearer_auth(&token)).await;
    assert_eq!(status, StatusCode::OK, "the operator's decision counts at once");
}

/// The routes of `/api/v1` that need a token.
fn api_routes() -> Vec<Route> {
    declared()
        .into_iter()
        .filter(|route| {
            route.path.starts_with("/api/v1/")
                && route.path != "/api/v1/tls-pins"
                && (route.method != "POST" || route.path != "/api/v1/invitation/{invitation}")
        })
        .collect()
}

#[tokio::test]
async fn a_token_with_fhir_scopes_is_for_fhir_and_decides_no_consent() {
    let world = World::new().await;
    let token = world.token_of("ll_patient_peter", OWN, "openid patient/*.cruds user/*.cruds").await;
    let before = world.count("SELECT count(*) FROM consent_event").await;
    for route in api_routes() {
        let what = format!("{} {}", route.method, route.path);
        let reply = Reply::to(request(&world, &route, &token)).await;
        refused_for_scope(&reply, &what);
        assert!(reply.json()["detail"].is_string(), "{what}");
    }
    assert_eq!(world.count("SELECT count(*) FROM consent_event").await, before);
}

/// The answer to an authorization request for a scope, and what the code is worth.
async fn granted(world: &World, client_id: &str, redirect_uri: &str, scope: &str) -> Result<serde_json::Value, String> {
    let browser = Browser::signed_in(world, "ll_patient_peter").await;
    let parameters = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("scope", scope),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let (_, answered) = location(&browser.get(&with_query("/o/authorize/", &parameters)).await);
    let Some(code) = answered.get("code") else { return Err(answered["error"].clone()) };
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
    ];
    let (status, tokens) = world.token_request(&form).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    Ok(tokens)
}

#[tokio::test]
async fn a_client_is_granted_the_fhir_scopes_that_its_own_cover_and_never_whole_access_instead() {
    let world = World::new().await;
    let own = world.redirect_uri().await;
    foreign_client(&world, "{openid,patient/*.rs,user/Group.r}").await;
    world.sql("UPDATE oauth_client SET skip_authorization = true WHERE client_id = 'other'").await;
    let other = "https://other.example/cb";
    for (client, uri, asked, expected) in [
        (CLIENT, own.as_str(), "openid patient/Observation.rs", Ok("openid patient/Observation.rs")),
        (CLIENT, &own, "openid user/Patient.read system/*.cruds", Ok("openid user/Patient.read")),
        (CLIENT, &own, "openid system/*.rs", Err("invalid_scope")),
        (CLIENT, &own, "openid patient/Observation.rs?code=x", Err("invalid_scope")),
        (CLIENT, &own, "openid patient/Observation.sr", Err("invalid_scope")),
        (CLIENT, &own, "openid launch/patient patient/*.rs", Ok("openid launch/patient patient/*.rs")),
        ("other", other, "openid launch/patient", Err("invalid_scope")),
        ("other", other, "openid patient/Observation.r", Ok("openid patient/Observation.r")),
        ("other", other, "openid patient/Observation.read email", Ok("openid patient/Observation.read")),
        ("other", other, "openid patient/Observation.crs", Err("invalid_scope")),
        ("other", other, "openid user/Patient.r", Err("invalid_scope")),
        ("other", other, "openid", Ok("openid")),
    ] {
        let tokens = granted(&world, client, uri, asked).await;
        let scope = tokens.as_ref().map(|tokens| tokens["scope"].as_str().expect("a scope")).map_err(String::as_str);
        assert_eq!(scope, expected, "{client} {asked}");
        let patient = tokens.ok().and_then(|tokens| tokens["patient"].as_str().map(str::to_owned));
        let in_context = asked.contains("launch/patient") && expected.is_ok();
        assert_eq!(patient.as_deref(), in_context.then_some("40001"), "{client} {asked}");
    }
}

#[tokio::test]
async fn the_id_token_and_userinfo_name_the_resource_of_the_user_when_asked_smart_2_2_fhir_user() {
    let world = World::new().await;
    foreign_client(&world, "{openid,fhirUser}").await;
    world.sql("UPDATE oauth_client SET skip_authorization = true WHERE client_id = 'other'").await;
    let peter = serde_json::json!(format!("{}/FHIR/R5/Patient/40001", world.base));
    for (scope, expected) in [("openid fhirUser", peter), ("openid", serde_json::Value::Null)] {
        let tokens = granted(&world, "other", "https://other.example/cb", scope).await.expect("tokens");
        let claims = tokens["id_token"].as_str().and_then(|token| token.split('.').nth(1)).expect("claims");
        let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
        let claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
        assert_eq!(claims["fhirUser"], expected, "{scope}");
        let access = tokens["access_token"].as_str().expect("a token");
        let (_, told) = answer(world.anonymous(Method::GET, "/o/userinfo/").bearer_auth(access)).await;
        assert_eq!(told["fhirUser"], expected, "{scope}");
    }
}

#[tokio::test]
async fn a_refreshed_token_with_less_scope_never_opens_more() {
    let world = World::new().await;
    let tokens =
        granted(&world, CLIENT, &world.redirect_uri().await, "openid patient/Observation.rs").await.expect("tokens");
    let refresh = tokens["refresh_token"].as_str().expect("a refresh token");
    let (status, narrowed) = world
        .token_request(&[
            ("grant_type", "refresh_token"),
            ("client_id", CLIENT),
            ("refresh_token", refresh),
            ("scope", "openid"),
        ])
        .await;
    assert_eq!((status, narrowed["scope"].as_str()), (StatusCode::OK, Some("openid")));
    let token = narrowed["access_token"].as_str().expect("a token");
    for path in ["/FHIR/R5/Observation?patient=40001", "/FHIR/R5/Patient", "/api/v1/users/profile"] {
        refused_for_scope(&Reply::to(world.anonymous(Method::GET, path).bearer_auth(token)).await, path);
    }
}
