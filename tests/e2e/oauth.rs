//! The authorization endpoint and what clients find out by themselves (RFC 6749, RFC 7636, RFC 9207, OpenID Connect Core
//! 1.0).

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use end_to_end::{
    World, answer,
    application::{Signer, application},
    browser::{Browser, CHALLENGE, CLIENT, VERIFIER, form_token, location, with_query},
    id_token::{jwks, verified},
};
use reqwest::{Method, StatusCode};
use serde_json::json;

const PASSWORD: &str = standalone::demo::PASSWORD;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Parameters with other values, or without any.
type Changes<'a> = &'a [(&'a str, Option<&'a str>)];

/// The parameters of a right request, changed.
async fn changed(world: &World, changes: Changes<'_>) -> String {
    let redirect_uri = world.redirect_uri().await;
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", redirect_uri.as_str()),
        ("scope", "openid email"),
        ("state", "st"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        parameters.retain(|(known, _)| known != name);
        parameters.extend(value.map(|value| (*name, value)));
    }
    with_query("/o/authorize/", &parameters)
}

#[tokio::test]
async fn a_person_signs_in_and_the_app_acts_for_that_person() {
    let world = World::new().await;
    let browser = Browser::new(&world);
    let asked = browser.get(&world.authorize_path().await).await;
    assert_eq!(asked.status, StatusCode::FOUND);
    let (to, parameters) = location(&asked);
    assert_eq!(to, "/accounts/login/");
    let next = parameters["next"].clone();
    assert!(next.starts_with("/o/authorize/?"), "{next}");

    let page = browser.get(asked.header("location")).await;
    assert_eq!(page.status, StatusCode::OK);
    let form = [
        ("csrfmiddlewaretoken", form_token(&page)),
        ("next", next.clone()),
        ("username", "manager_mary@example.com".to_owned()),
        ("password", PASSWORD.to_owned()),
    ];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let signed_in = browser.post("/accounts/login/", &form).await;
    assert_eq!((signed_in.status, signed_in.header("location")), (StatusCode::FOUND, next.as_str()));

    let back = browser.get(&next).await;
    assert_eq!(back.status, StatusCode::FOUND);
    let (to, parameters) = location(&back);
    assert_eq!(to, world.redirect_uri().await);
    assert_eq!(parameters["state"], "a state with & and =");
    assert_eq!(parameters["iss"], format!("{}/o", world.base));
    assert_eq!(parameters.len(), 3, "{parameters:?}");

    let (status, tokens) = world.exchange(&parameters["code"], VERIFIER).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    let mut keys: Vec<&str> = tokens.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"]);
    assert_eq!((&tokens["expires_in"], &tokens["token_type"]), (&json!(900), &json!("Bearer")));

    let access = tokens["access_token"].as_str().expect("a token");
    let me = world.anonymous(Method::GET, "/o/userinfo/").bearer_auth(access);
    assert_eq!(
        answer(me).await,
        (StatusCode::OK, json!({ "sub": "10002", "email": "manager_mary@example.com", "email_verified": false }))
    );
    let profile = world.anonymous(Method::GET, "/api/v1/users/profile").bearer_auth(access);
    assert_eq!(answer(profile).await.1["id"], 10002);
}

#[tokio::test]
async fn the_id_token_verifies_with_the_published_key_and_says_who_signed_in() {
    let world = World::new().await;
    let before = jiff::Timestamp::now().as_second();
    let tokens = world.tokens("manager_mary").await;
    let after = jiff::Timestamp::now().as_second();
    let token = tokens["id_token"].as_str().expect("an id_token");
    let jwks = jwks(&world.base).await;
    for key in jwks["keys"].as_array().expect("keys") {
        assert_eq!((&key["kty"], &key["alg"], &key["use"]), (&json!("RSA"), &json!("RS256"), &json!("sig")));
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            assert!(key.get(private).is_none(), "the private part {private} is published");
        }
    }
    let claims = verified(token, &jwks).expect("a good signature");
    let (signed, signature) = token.rsplit_once('.').expect("a JWT");
    assert_eq!(verified(&format!("{signed}A.{signature}"), &jwks), None);

    let hash = digest::digest(&digest::SHA256, tokens["access_token"].as_str().expect("a token").as_bytes());
    let iat = claims["iat"].as_i64().expect("iat");
    let auth_time = claims["auth_time"].as_i64().expect("auth_time");
    assert!((before..=after).contains(&iat) && (before..=after).contains(&auth_time), "{before} {claims} {after}");
    assert_eq!(
        claims,
        json!({
            "iss": format!("{}/o", world.base), "aud": CLIENT, "sub": "10002", "email": "manager_mary@example.com",
            "email_verified": false, "acr": "urn:jupyterhealth:acr:one-factor", "amr": ["pwd"], "nonce": "n-0S6_WzA2Mj", "at_hash": URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]),
            "iat": iat, "exp": iat + 900, "auth_time": auth_time,
        })
    );
}

#[tokio::test]
async fn the_documents_of_discovery_agree_and_everything_named_is_true() {
    let ehr = json!([{ "issuer": "https://ehr.example", "audience": "jhe", "jwks": Signer::default().jwks() }]);
    for (issuers, exchanges) in [(ehr.to_string().as_str(), true), ("", false), ("[]", false)] {
        let world = World::with(&[("TOKEN_EXCHANGE_ISSUERS", issuers)]).await;
        let get = async |path: &str| answer(world.anonymous(Method::GET, path)).await;
        let (status, openid) = get("/o/.well-known/openid-configuration").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(get("/o/.well-known/openid-configuration/").await.1, openid);
        assert_eq!(openid["issuer"], format!("{}/o", world.base));
        assert_eq!(openid["code_challenge_methods_supported"], json!(["S256"]), "plain is not supported");
        assert_eq!(openid["response_types_supported"], json!(["code"]));
        assert_eq!(openid["authorization_response_iss_parameter_supported"], true);
        for document in [
            "/o/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server",
            "/FHIR/R5/.well-known/smart-configuration",
            "/fhir/r5/.well-known/smart-configuration",
        ] {
            let (status, found) = get(document).await;
            assert_eq!(status, StatusCode::OK, "{document}");
            for name in
                ["authorization_endpoint", "token_endpoint", "code_challenge_methods_supported", "scopes_supported"]
            {
                assert_eq!(found[name], openid[name], "{document}: {name}");
            }
            let grants = found["grant_types_supported"].as_array().expect("a list");
            assert_eq!(grants.iter().any(|grant| grant == EXCHANGE), exchanges, "{document}");
        }
        assert_eq!(openid.get("token_exchange_endpoint").is_some(), exchanges, "{openid}");
        assert_eq!(get("/o/.well-known/jwks.json").await.0, StatusCode::OK);
    }
}

// RFC 9728
#[tokio::test]
async fn the_resource_says_where_its_tokens_come_from_and_what_they_are_for() {
    let world = World::new().await;
    let get = async |path: &str| answer(world.anonymous(Method::GET, path)).await;
    let (status, resource) = get("/.well-known/oauth-protected-resource").await;
    assert_eq!(status, StatusCode::OK, "{resource}");
    assert_eq!(get("/o/.well-known/oauth-protected-resource").await.1, resource);
    let (_, server) = get("/.well-known/oauth-authorization-server").await;
    assert_eq!(resource["authorization_servers"], json!([server["issuer"]]));
    for name in ["scopes_supported", "dpop_signing_alg_values_supported"] {
        assert_eq!(resource[name], server[name], "{name}");
    }
    assert!(resource["scopes_supported"].as_array().expect("a list").contains(&json!("system/*.rs")), "{resource}");
    // The resource is one that tokens can be asked for (RFC 8707).
    let named = resource["resource"].as_str().expect("a URI");
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let reply = browser.get(&changed(&world, &[("resource", Some(named))]).await).await;
    let (_, tokens) = world.exchange(&location(&reply).1["code"], VERIFIER).await;
    assert!(world.accepts(tokens["access_token"].as_str().expect("a token")).await);
}

#[tokio::test]
async fn a_request_that_is_wrong_is_answered_at_the_redirect_uri_with_state_and_issuer() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let cases: [(&str, Changes<'_>, &str); 12] = [
        ("no challenge", &[("code_challenge", None), ("code_challenge_method", None)], "invalid_request"),
        ("a challenge of no method is plain", &[("code_challenge_method", None)], "invalid_request"),
        ("plain", &[("code_challenge_method", Some("plain"))], "invalid_request"),
        ("another method", &[("code_challenge_method", Some("S512"))], "invalid_request"),
        ("a short challenge", &[("code_challenge", Some("abc"))], "invalid_request"),
        ("no response type", &[("response_type", None)], "invalid_request"),
        ("the implicit grant", &[("response_type", Some("token"))], "unsupported_response_type"),
        ("a hybrid", &[("response_type", Some("code id_token"))], "unsupported_response_type"),
        ("a fragment", &[("response_mode", Some("fragment"))], "invalid_request"),
        ("a request object", &[("request", Some("eyJ"))], "request_not_supported"),
        ("a request from elsewhere", &[("request_uri", Some("https://a.example"))], "request_uri_not_supported"),
        ("no such scope", &[("scope", Some("system"))], "invalid_scope"),
    ];
    let redirect_uri = world.redirect_uri().await;
    for (what, changes, error) in cases {
        let reply = browser.get(&changed(&world, changes).await).await;
        assert_eq!(reply.status, StatusCode::FOUND, "{what}: {}", reply.text);
        let (to, parameters) = location(&reply);
        assert_eq!(to, redirect_uri, "{what}");
        assert_eq!(parameters["error"], error, "{what}");
        assert_eq!(parameters["state"], "st", "{what}");
        assert_eq!(parameters["iss"], format!("{}/o", world.base), "{what}");
        assert!(!parameters.contains_key("code"), "{what}");
    }
    let silent = Browser::new(&world).get(&changed(&world, &[("prompt", Some("none"))]).await).await;
    assert_eq!(location(&silent).1["error"], "login_required");
    assert_eq!(world.count("SELECT count(*) FROM oauth_code").await, 0);
}

#[tokio::test]
async fn nothing_is_ever_sent_to_a_redirect_uri_that_is_not_exactly_the_clients() {
    let world = World::new().await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let good = world.redirect_uri().await;
    assert_eq!(good, "http://localhost:8000/auth/callback");
    let other_clients = "https://carex.example/cb";
    world.sql(&format!("UPDATE oauth_client SET redirect_uris = ARRAY['{other_clients}'] WHERE id = 1")).await;
    for bad in [
        "https://evil.example/",
        "http://localhost:8000/auth/callback/",
        "http://localhost:8000/auth/callback?a=b",
        "http://localhost:8000/auth/callback#a",
        "http://localhost:8000/auth/callbac",
        "http://localhost:8000/auth/CALLBACK",
        "http://localhost:8000/auth/../auth/callback",
        "http://localhost:8000//auth/callback",
        "http://localhost:8001/auth/callback",
        "http://localhost/auth/callback",
        "https://localhost:8000/auth/callback",
        "http://localhost:8000@evil.example/auth/callback",
        "http://localhost.evil.example:8000/auth/callback",
        "//localhost:8000/auth/callback",
        "javascript:alert(1)",
        "",
        "http://localhost:8000/auth/%63allback",
        other_clients,
    ] {
        for prompt in [None, Some("none")] {
            let reply = browser.get(&changed(&world, &[("redirect_uri", Some(bad)), ("prompt", prompt)]).await).await;
            assert_eq!((reply.status, reply.header("location")), (StatusCode::BAD_REQUEST, ""), "{bad}");
            assert!(reply.header("content-type").starts_with("text/html"), "{bad}");
        }
    }
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example%2F", changed(&world, &[]).await);
    for path in [
        changed(&world, &[("redirect_uri", None)]).await,
        changed(&world, &[("client_id", None)]).await,
        changed(&world, &[("client_id", Some("nobody"))]).await,
        changed(&world, &[("client_id", Some("4"))]).await,
        twice,
        "/o/authorize/".to_owned(),
    ] {
        let reply = browser.get(&path).await;
        assert_eq!((reply.status, reply.header("location")), (StatusCode::BAD_REQUEST, ""), "{path}");
    }
    assert_eq!(world.count("SELECT count(*) FROM oauth_code").await, 0);
}

#[tokio::test]
async fn a_client_that_is_not_trusted_gets_a_code_only_when_the_person_allows_it() {
    let world = World::new().await;
    world.sql("UPDATE oauth_client SET skip_authorization = false, name = '<b>App</b>' WHERE id = 4").await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    let path = changed(&world, &[]).await;
    let page = browser.get(&path).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("&lt;b&gt;App&lt;/b&gt;") && !page.text.contains("<b>"), "a name is text");
    // ASVS 10.7.2
    for words in ["manager_mary@example.com", "see your e-mail address", "localhost:8000", "It lasts 365 days at most"]
    {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    let token = form_token(&page);

    let other = Browser::signed_in(&world, "member_megan").await;
    let others_token = form_token(&other.get(&path).await);
    let wider = changed(&world, &[("scope", Some("openid email profile"))]).await;
    for (what, path, token) in [
        ("no token", &path, ""),
        ("a made-up token", &path, "AAAA.BBBB"),
        ("the token of another person", &path, others_token.as_str()),
        ("the token of another request", &wider, token.as_str()),
    ] {
        for decision in ["allow", "deny"] {
            let reply = browser.post(path, &[("decision", decision), ("csrfmiddlewaretoken", token)]).await;
            assert_eq!((reply.status, reply.header("location")), (StatusCode::FORBIDDEN, ""), "{what}");
        }
    }
    assert_eq!(world.count("SELECT count(*) FROM oauth_code").await, 0);

    let denied = browser.post(&path, &[("decision", "deny"), ("csrfmiddlewaretoken", &token)]).await;
    assert_eq!(location(&denied).1["error"], "access_denied");
    let allowed = browser.post(&path, &[("decision", "allow"), ("csrfmiddlewaretoken", &token)]).await;
    let code = location(&allowed).1["code"].clone();
    assert_eq!(world.exchange(&code, VERIFIER).await.0, StatusCode::OK);
}

// ASVS 10.7.1
#[tokio::test]
async fn a_person_is_asked_whenever_any_app_of_the_device_could_get_the_answer_rfc_8252_8_6() {
    let world = World::with(&[("SITE_URL", "https://jhe.example")]).await;
    let uris = ["https://app.example/cb", "http://127.0.0.1/cb", "http://localhost:8000/cb", "org.example.app:/cb"];
    for (method, asked) in [("none", [false, true, true, true]), ("client_secret_basic", [false; 4])] {
        let client = world.register(&application(method, &json!({ "redirectUris": uris }))).await;
        let browser = Browser::signed_in(&world, "manager_mary").await;
        for (uri, asked) in uris.into_iter().zip(asked) {
            let named = [("client_id", client["clientId"].as_str()), ("redirect_uri", Some(uri))];
            let reply = browser.get(&changed(&world, &named).await).await;
            assert_eq!(reply.status.as_u16(), if asked { 200 } else { 302 }, "{method} {uri}: {}", reply.text);
            assert_eq!(reply.text.contains("Allow access?"), asked, "{method} {uri}");
        }
    }
}

#[tokio::test]
async fn pages_carry_the_headers_that_protect_them() {
    let world = World::new().await;
    world.sql("UPDATE oauth_client SET skip_authorization = false WHERE id = 4").await;
    let browser = Browser::signed_in(&world, "manager_mary").await;
    for (path, status) in [
        ("/accounts/login/".to_owned(), 200),
        ("/accounts/logout/".to_owned(), 200),
        (changed(&world, &[]).await, 200),
        (changed(&world, &[("client_id", Some("nobody"))]).await, 400),
    ] {
        let reply = browser.get(&path).await;
        assert_eq!(reply.status.as_u16(), status, "{path}");
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("script-src"), "{path}: {policy}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("content-type", "text/html; charset=utf-8"),
            ("access-control-allow-origin", ""),
        ] {
            assert_eq!(reply.header(name), value, "{path}: {name}");
        }
        assert!(
            !reply.text.contains("<script") && !reply.text.contains("http://") && !reply.text.contains("//cdn"),
            "{path}"
        );
    }
}
