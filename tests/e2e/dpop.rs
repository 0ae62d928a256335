//! Tokens that are bound to a key (RFC 9449).

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use end_to_end::{
    World,
    browser::{Browser, CLIENT, VERIFIER, location},
    point::{blood_pressure, observation},
    reply::Reply,
};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn sha256(text: &str) -> String {
    encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// The key of an app.
struct Key(EcdsaKeyPair);

impl Key {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    /// The coordinates of the public key.
    fn point(&self) -> (String, String) {
        let point = &self.0.public_key().as_ref()[1..];
        (encode(&point[..32]), encode(&point[32..]))
    }

    fn thumbprint(&self) -> String {
        let (x, y) = self.point();
        sha256(&format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#))
    }

    /// A new proof for a request, with the access token that it comes with.
    fn proof(&self, method: &str, url: &str, token: Option<&str>) -> String {
        let (x, y) = self.point();
        let header =
            json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": { "kty": "EC", "crv": "P-256", "x": x, "y": y } });
        let jti = encode(oauth::token::random_bytes::<16>().expect("random numbers"));
        let mut claims = json!({ "jti": jti, "htm": method, "htu": url, "iat": jiff::Timestamp::now().as_second() });
        if let Some(token) = token {
            claims["ath"] = sha256(token).into();
        }
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
        format!("{message}.{}", encode(signature))
    }
}

/// A code for Peter, bound to a key if there is one.
async fn code(world: &World, key: Option<&Key>) -> String {
    let browser = Browser::signed_in(world, "ll_patient_peter").await;
    let bound = key.map(|key| format!("&dpop_jkt={}", key.thumbprint())).unwrap_or_default();
    let reply = browser.get(&format!("{}{bound}", world.authorize_path().await)).await;
    location(&reply).1["code"].clone()
}

/// A request to the token endpoint with proofs.
async fn token(world: &World, form: &[(&str, &str)], proofs: &[String]) -> (StatusCode, Value) {
    let mut request = world.anonymous(Method::POST, "/o/token/").form(form);
    for proof in proofs {
        request = request.header("dpop", proof);
    }
    end_to_end::answer(request).await
}

async fn exchange(world: &World, code: &str, proofs: &[String]) -> (StatusCode, Value) {
    let uri = world.redirect_uri().await;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("redirect_uri", uri.as_str()),
        ("code", code),
        ("code_verifier", VERIFIER),
    ];
    token(world, &form, proofs).await
}

fn token_proof(world: &World, key: &Key) -> String {
    key.proof("POST", &format!("{}/o/token/", world.base), None)
}

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap_or_else(|| panic!("no {name}: {tokens}"))
}

/// A request to a resource with a scheme and a token.
fn ask(world: &World, path: &str, scheme: &str, token: &str) -> RequestBuilder {
    world.anonymous(Method::GET, path).header("authorization", format!("{scheme} {token}"))
}

const PATHS: [&str; 3] = ["/FHIR/R5/Patient/40001", "/api/v1/users/profile", "/o/userinfo/"];

#[tokio::test]
async fn a_bound_token_opens_with_a_new_proof_by_its_key_and_in_no_other_way_rfc_9449_7() {
    let world = World::new().await;
    let key = Key::new();
    let code = code(&world, Some(&key)).await;
    let (status, tokens) = exchange(&world, &code, &[token_proof(&world, &key)]).await;
    assert_eq!((status, &tokens["token_type"]), (StatusCode::OK, &json!("DPoP")), "{tokens}");
    let access = text(&tokens, "access_token");
    for path in PATHS {
        let url = format!("{}{path}", world.base);
        let good = key.proof("GET", &url, Some(access));
        let first = Reply::to(ask(&world, path, "DPoP", access).header("dpop", &good)).await;
        assert_eq!(first.status, StatusCode::OK, "{path}: {}", first.text);
        let with_query = ask(&world, &format!("{path}?_format=json"), "dpop", access);
        let with_query = Reply::to(with_query.header("dpop", key.proof("GET", &url, Some(access)))).await;
        assert_eq!(with_query.status, StatusCode::OK, "{path}: the query does not count");

        let recorded = "SELECT count(*) FROM audit_event WHERE refused_by = 'token'";
        let before = world.count(recorded).await;
        let elsewhere = format!("{}/FHIR/R5/Patient", world.base);
        let cases = [
            ("as a bearer token", "Bearer", vec![key.proof("GET", &url, Some(access))]),
            ("no proof", "DPoP", vec![]),
            ("the proof of before", "DPoP", vec![good]),
            ("another key", "DPoP", vec![Key::new().proof("GET", &url, Some(access))]),
            ("another method", "DPoP", vec![key.proof("POST", &url, Some(access))]),
            ("another URL", "DPoP", vec![key.proof("GET", &elsewhere, Some(access))]),
            ("another token", "DPoP", vec![key.proof("GET", &url, Some("another"))]),
            ("no token named", "DPoP", vec![key.proof("GET", &url, None)]),
            ("not a proof", "DPoP", vec!["a.b.c".to_owned()]),
            ("two proofs", "DPoP", vec![key.proof("GET", &url, Some(access)), key.proof("GET", &url, Some(access))]),
        ];
        let refusals = i64::try_from(cases.len()).expect("a number");
        for (what, scheme, proofs) in cases {
            let mut request = ask(&world, path, scheme, access);
            for proof in &proofs {
                request = request.header("dpop", proof);
            }
            let reply = Reply::to(request).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path} {what}: {}", reply.text);
            if scheme == "DPoP" && path != "/o/userinfo/" {
                let challenge = reply.header("www-authenticate");
                assert!(challenge.starts_with("DPoP error=\"invalid_dpop_proof\""), "{path} {what}: {challenge}");
            }
        }
        assert_eq!(world.count(recorded).await - before, refusals, "{path}: each is recorded");
    }
}

// ASVS 10.3.5, 10.4.14
#[tokio::test]
async fn where_tokens_have_to_be_bound_no_other_is_issued_or_taken() {
    let world = World::with(&[("REQUIRE_BOUND_TOKENS", "true")]).await;
    let key = Key::new();
    let without = code(&world, None).await;
    let end = world.audit_end().await;
    let (status, error) = exchange(&world, &without, &[]).await;
    assert_eq!((status, &error["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_dpop_proof")), "{error}");
    assert_eq!(world.audit_after(end).await[0].refused_by.as_deref(), Some("token"));
    let (status, tokens) = exchange(&world, &without, &[token_proof(&world, &key)]).await;
    assert_eq!((status, &tokens["token_type"]), (StatusCode::OK, &json!("DPoP")), "the code was not used up: {tokens}");
    let access = text(&tokens, "access_token");
    for path in PATHS {
        let proof = key.proof("GET", &format!("{}{path}", world.base), Some(access));
        let bound = Reply::to(ask(&world, path, "DPoP", access).header("dpop", proof)).await;
        assert_eq!(bound.status, StatusCode::OK, "{path}");
        // One that was issued before.
        let bearer = Reply::to(ask(&world, path, "Bearer", world.token("ll_patient_peter"))).await;
        assert_eq!(bearer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn a_bearer_token_does_not_pass_as_a_bound_one_rfc_9449_7_2() {
    let world = World::new().await;
    let token = world.token("ll_patient_peter");
    for path in PATHS {
        let proof = Key::new().proof("GET", &format!("{}{path}", world.base), Some(token));
        let reply = Reply::to(ask(&world, path, "DPoP", token).header("dpop", proof)).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let nobody = Reply::to(world.anonymous(Method::GET, PATHS[0])).await;
    assert!(nobody.header("www-authenticate").contains("DPoP algs="), "both ways are offered");
}

#[tokio::test]
async fn a_code_that_names_a_key_is_worth_nothing_without_it_rfc_9449_10() {
    let world = World::new().await;
    let key = Key::new();
    let code = code(&world, Some(&key)).await;
    for (what, proofs, error) in [
        ("no proof", vec![], "invalid_grant"),
        ("another key", vec![token_proof(&world, &Key::new())], "invalid_grant"),
        ("not a proof", vec!["x".to_owned()], "invalid_dpop_proof"),
        ("two proofs", vec![token_proof(&world, &key), token_proof(&world, &key)], "invalid_dpop_proof"),
        ("for a resource", vec![key.proof("POST", &format!("{}/FHIR/R5", world.base), None)], "invalid_dpop_proof"),
    ] {
        let (status, answer) = exchange(&world, &code, &proofs).await;
        assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!(error)), "{what}");
    }
    let proof = token_proof(&world, &key);
    assert_eq!(exchange(&world, &code, std::slice::from_ref(&proof)).await.0, StatusCode::OK);
    let (_, again) = exchange(&world, &code, &[proof]).await;
    assert_eq!(again["error"], "invalid_dpop_proof", "a proof is good once");
    let malformed = format!("{}&dpop_jkt=short", world.authorize_path().await);
    let reply = Browser::signed_in(&world, "ll_patient_peter").await.get(&malformed).await;
    assert_eq!(location(&reply).1["error"], "invalid_request");
}

#[tokio::test]
async fn the_refresh_token_of_a_public_client_is_bound_too_rfc_9449_5() {
    let world = World::new().await;
    let key = Key::new();
    let (_, tokens) = exchange(&world, &code(&world, None).await, &[token_proof(&world, &key)]).await;
    let refresh = text(&tokens, "refresh_token");
    let form = |refresh| [("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", refresh)];
    for proofs in [vec![], vec![token_proof(&world, &Key::new())]] {
        let (status, answer) = token(&world, &form(refresh), &proofs).await;
        assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    }
    let (status, renewed) = token(&world, &form(refresh), &[token_proof(&world, &key)]).await;
    assert_eq!((status, &renewed["token_type"]), (StatusCode::OK, &json!("DPoP")), "{renewed}");
    let access = text(&renewed, "access_token");
    assert!(!world.accepts(access).await, "the new token is bound as well");
    let (status, _) = token(&world, &form(text(&renewed, "refresh_token")), &[]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "and so is its refresh token");
}

#[tokio::test]
async fn a_proof_is_looked_at_once_for_a_request_that_has_an_idempotency_key() {
    let world = World::new().await;
    let key = Key::new();
    let code = code(&world, Some(&key)).await;
    let (_, tokens) = exchange(&world, &code, &[token_proof(&world, &key)]).await;
    let access = text(&tokens, "access_token");
    let path = "/FHIR/R5/Observation";
    let body = observation(40001, 70001, &blood_pressure(120, "2026-02-01T07:00:00Z"), "by proof");
    let upload = async |proof: &str| {
        let request = world.anonymous(Method::POST, path).header("authorization", format!("DPoP {access}"));
        Reply::to(request.header("dpop", proof).header("idempotency-key", "k").json(&body)).await
    };
    let proof = || key.proof("POST", &format!("{}{path}", world.base), Some(access));
    let used = proof();
    let first = upload(&used).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (StatusCode::CREATED, ""), "{}", first.text);
    assert_eq!(upload(&used).await.status, StatusCode::UNAUTHORIZED, "the proof of before replays nothing");
    let again = upload(&proof()).await;
    assert_eq!((again.header("idempotency-replayed"), &again.text), ("true", &first.text));
}

#[tokio::test]
async fn a_pushed_request_binds_its_code_to_the_key_of_its_proof_rfc_9449_10_1() {
    let world = World::new().await;
    let key = Key::new();
    let browser = Browser::signed_in(&world, "ll_patient_peter").await;
    let (_, query) = world
        .authorize_path()
        .await
        .split_once('?')
        .map(|(path, query)| (path.to_owned(), query.to_owned()))
        .expect("a query");
    let push = async |more: String, proof: &str| {
        let request =
            world.anonymous(Method::POST, "/o/par/").header("content-type", "application/x-www-form-urlencoded");
        Reply::to(request.header("dpop", proof).body(format!("{query}{more}"))).await
    };
    let proof = || key.proof("POST", &format!("{}/o/par/", world.base), None);
    let wrong = [
        (format!("&dpop_jkt={}", Key::new().thumbprint()), proof()),
        (String::new(), token_proof(&world, &key)),
        (String::new(), "x".to_owned()),
    ];
    for (more, proof) in wrong {
        let reply = push(more, &proof).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (400, &json!("invalid_dpop_proof")), "{proof}");
    }
    let reply = push(format!("&dpop_jkt={}", key.thumbprint()), &proof()).await.json();
    let reference = format!("/o/authorize/?client_id={CLIENT}&request_uri={}", text(&reply, "request_uri"));
    let code = location(&browser.get(&reference).await).1["code"].clone();
    assert_eq!(exchange(&world, &code, &[]).await.1["error"], "invalid_grant");
    assert_eq!(exchange(&world, &code, &[token_proof(&world, &key)]).await.0, StatusCode::OK);
}
