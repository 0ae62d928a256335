//! `POST /o/token-exchange`: an EHR's `id_token` for a practitioner's access token (RFC 8693).

use end_to_end::{
    World, answer,
    application::{Signer, application, member},
    browser::email,
    keys,
    reply::Reply,
};
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const ISSUER: &str = "https://ehr.example/oauth2";
const MEGAN: &str = "Practitioner/megan";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// A world that trusts an EHR, which knows Megan, and a client that exchanges its tokens.
struct Clinic {
    world: World,
    ehr: Signer,
    client: Value,
}

impl Clinic {
    async fn new() -> Self {
        let ehr = Signer::default();
        let issuers = json!([
            { "issuer": ISSUER, "audience": "jhe-at-ehr", "jwks": ehr.jwks(), "secondFactor": ["urn:ehr:strong"] },
            { "issuer": "https://far.example", "audience": "jhe", "jwksUri": "https://keys.invalid/jwks.json" },
        ]);
        let world = World::with(&[("TOKEN_EXCHANGE_ISSUERS", &issuers.to_string())]).await;
        let more = json!({ "redirectUris": [], "grantTypes": [GRANT], "scopes": ["openid", "user/Patient.rs", "offline_access"] });
        let client = world.register(&application("client_secret_basic", &more)).await;
        let clinic = Self { world, ehr, client };
        clinic.link("member_megan", MEGAN).await;
        clinic
    }

    /// Links an account, as the database's owner does.
    async fn link(&self, user: &str, name: &str) {
        let statement = "INSERT INTO linked_person (issuer, name, user_id) SELECT";
        self.world
            .sql(&format!("{statement} '{ISSUER}', '{name}', id FROM app_user WHERE email = '{}'", email(user)))
            .await;
    }

    fn with(&self, jti: &str, name: &str, value: Value) -> String {
        let mut changed = claims(jti);
        changed[name] = value;
        self.ehr.sign(&changed)
    }

    async fn exchange(&self, token: &str, more: &[(&str, &str)]) -> Reply {
        let base = self.world.base.clone();
        let mut form = vec![
            ("grant_type", GRANT),
            ("audience", base.as_str()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token", token),
            ("scope", "openid"),
        ];
        for change in more {
            form.retain(|(name, _)| *name != change.0);
            form.push(*change);
        }
        self.world.as_client(&self.client, "/o/token-exchange", &form).await
    }

    /// Nothing is issued, and the audit alone says why.
    async fn assert_refused(&self, token: &str, reason: &str) {
        let end = self.world.audit_end().await;
        let reply = self.exchange(token, &[]).await;
        let expected =
            json!({ "error": "invalid_request", "error_description": "The subject_token is not acceptable." });
        assert_eq!((reply.status, reply.json()), (StatusCode::BAD_REQUEST, expected), "{reason}");
        let events = self.world.audit_after(end).await;
        assert_eq!((events.len(), events[0].outcome.as_str()), (1, "denied"), "{reason}");
        let recorded = format!("SELECT count(*) FROM audit_event WHERE id > {end} AND detail->>'reason' = '{reason}'");
        assert_eq!(self.world.count(&recorded).await, 1, "{reason}");
    }
}

/// What the EHR says when Megan has just signed in there.
fn claims(jti: &str) -> Value {
    let now = Timestamp::now().as_second();
    json!({ "iss": ISSUER, "sub": "s1", "aud": "jhe-at-ehr", "exp": now + 3600, "iat": now, "jti": jti, "fhirUser": MEGAN })
}

#[tokio::test]
async fn a_practitioner_who_signed_in_at_the_ehr_works_here_rfc_8693() {
    let clinic = Clinic::new().await;
    let world = &clinic.world;
    let end = world.audit_end().await;
    let reply = clinic.exchange(&clinic.ehr.sign(&claims("j1")), &[]).await;
    assert_eq!((reply.status, reply.header("cache-control")), (StatusCode::OK, "no-store"), "{}", reply.text);
    let tokens = reply.json();
    let members = ["access_token", "expires_in", "issued_token_type", "scope", "token_type"];
    assert_eq!(keys(&tokens), members.into(), "no refresh token");
    assert_eq!(tokens["issued_token_type"], json!("urn:ietf:params:oauth:token-type:access_token"));
    assert_eq!((&tokens["token_type"], &tokens["scope"]), (&json!("Bearer"), &json!("openid")));
    let events = world.audit_after(end).await;
    assert_eq!((events.len(), events[0].outcome.as_str(), events[0].actor), (1, "allowed", Some(10003)));
    let access = member(&tokens, "access_token");
    let profile = world.anonymous(Method::GET, "/api/v1/users/profile").bearer_auth(access);
    assert_eq!(answer(profile).await.1["id"], 10003);
    assert_eq!(world.tables_with(access).await, [""; 0], "kept in the clear");

    // With a slash too, for another type of the same, for the FHIR API alone, and for less.
    let path = format!("{}/FHIR/R5", world.base);
    let less = [
        ("audience", path.as_str()),
        ("scope", "user/Patient.rs"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
    ];
    let reply = clinic.exchange(&clinic.ehr.sign(&claims("j2")), &less).await;
    assert_eq!(reply.json()["scope"], "user/Patient.rs", "{}", reply.text);
    let narrow = reply.json();
    let ask = |path: &str| world.anonymous(Method::GET, path).bearer_auth(member(&narrow, "access_token"));
    for (path, status) in [("/FHIR/R5/Patient", 200), ("/FHIR/R5/Group", 403), ("/api/v1/users/profile", 401)] {
        assert_eq!(Reply::to(ask(path)).await.status.as_u16(), status, "{path}");
    }
    let nothing = Reply::to(world.anonymous(Method::POST, "/o/token-exchange/").form(&[("a", "b")])).await;
    assert_eq!((nothing.status.as_u16(), &nothing.json()["error"]), (400, &json!("invalid_request")));
}

#[tokio::test]
async fn a_token_that_is_not_the_ehrs_for_us_and_now_is_refused_alike_rfc_8693_2_2_2() {
    let clinic = Clinic::new().await;
    let now = Timestamp::now().as_second();
    for (name, value, reason) in [
        ("iss", json!("https://evil.example"), "unknown_issuer"),
        ("aud", json!("other"), "wrong_audience"),
        ("azp", json!("other"), "wrong_audience"),
        ("exp", json!(now - 1), "expired"),
        ("iat", json!(now - 301), "too_old"),
        ("nbf", json!(now + 200), "not_yet"),
        ("fhirUser", json!(7), "no_name"),
    ] {
        clinic.assert_refused(&clinic.with("j1", name, value), reason).await;
    }
    clinic.assert_refused(&Signer::default().sign(&claims("j1")), "wrong_signature").await;
    let far = clinic.exchange(&clinic.with("j1", "iss", json!("https://far.example")), &[]).await;
    assert_eq!(far.status.as_u16(), 503, "its keys cannot be had: nothing is believed");
    assert_eq!(clinic.exchange("a.b.c", &[]).await.status, StatusCode::BAD_REQUEST);
    // What was refused has used nothing up.
    assert_eq!(clinic.exchange(&clinic.ehr.sign(&claims("j1")), &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_of_the_ehr_counts_once() {
    let clinic = Clinic::new().await;
    let token = clinic.ehr.sign(&claims("j1"));
    let (first, second) = tokio::join!(clinic.exchange(&token, &[]), clinic.exchange(&token, &[]));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    let mut without = claims("");
    without.as_object_mut().expect("claims").remove("jti");
    // The signature is another one each time; what is signed is the same.
    assert_eq!(clinic.exchange(&clinic.ehr.sign(&without), &[]).await.status, StatusCode::OK);
    assert_eq!(clinic.exchange(&clinic.ehr.sign(&without), &[]).await.status, StatusCode::BAD_REQUEST);
    let replayed = "SELECT count(*) FROM audit_event WHERE detail->>'reason' = 'replayed'";
    assert_eq!(clinic.world.count(replayed).await, 2);
}

#[tokio::test]
async fn only_an_active_practitioner_who_is_linked_gets_a_token() {
    let clinic = Clinic::new().await;
    for (user, name, reason) in [
        ("ll_patient_peter", "Practitioner/peter", "no_practitioner"),
        ("admin", "Practitioner/admin", "second_factor"),
        ("viewer_victor", "Practitioner/victor", "closed_account"),
    ] {
        clinic.link(user, name).await;
        clinic.world.sql("UPDATE app_user SET is_active = false WHERE id = 10004").await;
        clinic.assert_refused(&clinic.with(name, "fhirUser", json!(name)), reason).await;
    }
    clinic.assert_refused(&clinic.with("j1", "fhirUser", json!("Practitioner/nobody")), "no_account").await;
    let accounts = "SELECT count(*) FROM app_user";
    assert_eq!(clinic.world.count(accounts).await, 11, "nobody is made an account");
}

#[tokio::test]
async fn who_needs_a_second_factor_here_has_proved_one_there() {
    let clinic = Clinic::new().await;
    clinic.world.sql("UPDATE organization SET requires_second_factor = true").await;
    clinic.assert_refused(&clinic.with("j1", "amr", json!(["pwd"])), "second_factor").await;
    for (jti, name, value) in [("j2", "amr", json!(["pwd", "mfa"])), ("j3", "acr", json!("urn:ehr:strong"))] {
        let reply = clinic.exchange(&clinic.with(jti, name, value), &[]).await;
        assert_eq!(reply.status, StatusCode::OK, "{name}: {}", reply.text);
    }
}

#[tokio::test]
async fn only_a_client_that_is_registered_for_it_and_proves_it_exchanges_tokens() {
    let clinic = Clinic::new().await;
    let world = &clinic.world;
    let token = clinic.ehr.sign(&claims("j1"));
    let other = world.register(&application("client_secret_basic", &json!({}))).await;
    let form = [
        ("grant_type", GRANT),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("subject_token", token.as_str()),
    ];
    let reply = world.as_client(&other, "/o/token-exchange", &form).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (400, &json!("unauthorized_client")));
    let named = [&form[..], &[("client_id", member(&clinic.client, "clientId"))]].concat();
    let reply = Reply::to(world.anonymous(Method::POST, "/o/token-exchange").form(&named)).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (401, &json!("invalid_client")));
    let reply = world.as_client(&clinic.client, "/o/token/", &form).await;
    assert_eq!(reply.json()["error"], "unsupported_grant_type", "it has an endpoint of its own");
    for (name, value, error) in [
        ("scope", "email", "invalid_scope"),
        ("audience", "https://elsewhere.example", "invalid_target"),
        ("actor_token", "x", "invalid_request"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token", "invalid_request"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token", "invalid_request"),
    ] {
        assert_eq!(clinic.exchange(&token, &[(name, value)]).await.json()["error"], error, "{name}");
    }
    let (status, refused) = world
        .post("admin", "/api/v1/clients", &application("none", &json!({ "grantTypes": [GRANT], "redirectUris": [] })))
        .await;
    assert_eq!((status, refused.get("grantTypes").is_some()), (StatusCode::BAD_REQUEST, true), "{refused}");
    let untrusting = World::new().await;
    let more = json!({ "redirectUris": [], "grantTypes": [GRANT] });
    let client = untrusting.register(&application("client_secret_basic", &more)).await;
    assert_eq!(untrusting.as_client(&client, "/o/token-exchange", &form).await.json()["error"], "invalid_request");
}
