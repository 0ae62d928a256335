//! How clients prove who they are at the token endpoint: the one way they are registered for, and signed assertions
//! (RFC 7523, SMART Backend Services).

use end_to_end::{
    World,
    application::{REDIRECT_URI, Signer, application, member, service},
    browser::VERIFIER,
    reply::Reply,
};
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn claims(world: &World, client: &str, jti: &str) -> Value {
    let now = Timestamp::now().as_second();
    json!({ "iss": client, "sub": client, "aud": format!("{}/o/token/", world.base), "exp": now + 240, "iat": now, "jti": jti })
}

async fn ask(world: &World, assertion: &str) -> Reply {
    let form = [("grant_type", "client_credentials"), ("client_assertion_type", TYPE), ("client_assertion", assertion)];
    Reply::to(world.anonymous(Method::POST, "/o/token/").form(&form)).await
}

fn assert_refused(what: &str, reply: &Reply) {
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]), (401, &json!("invalid_client")), "{what}");
}

#[tokio::test]
async fn a_backend_service_signs_with_its_key_smart_backend_services() {
    let world = World::new().await;
    let signer = Signer::default();
    let client = world.register(&service("private_key_jwt", &json!({ "jwks": signer.jwks() }))).await;
    assert_eq!(client.get("clientSecret"), None);
    let name = member(&client, "clientId");
    let reply = ask(&world, &signer.sign(&claims(&world, name, "j1"))).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    assert!(world.accepts(member(&reply.json(), "access_token")).await);

    let mut for_issuer = claims(&world, name, "j2");
    for_issuer["aud"] = json!(format!("{}/o", world.base));
    assert_eq!(ask(&world, &signer.sign(&for_issuer)).await.status, StatusCode::OK);

    // The same at the other endpoints.
    let reply = Reply::to(world.anonymous(Method::POST, "/o/introspect/").form(&[
        ("token", member(&reply.json(), "access_token")),
        ("client_assertion_type", TYPE),
        ("client_assertion", &signer.sign(&claims(&world, name, "j3"))),
    ]));
    assert_eq!(reply.await.json()["active"], json!(true));
}

// ASVS 10.4.16
#[tokio::test]
async fn where_clients_need_a_key_nothing_else_proves_one() {
    let world = World::with(&[("REQUIRE_CLIENT_KEYS", "true")]).await;
    let signer = Signer::default();
    let keyed = world.register(&service("private_key_jwt", &json!({ "jwks": signer.jwks() }))).await;
    let assertion = signer.sign(&claims(&world, member(&keyed, "clientId"), "j1"));
    assert_eq!(ask(&world, &assertion).await.status, StatusCode::OK);
    for method in ["client_secret_basic", "client_secret_post"] {
        let client = world.register(&service(method, &json!({}))).await;
        let reply = world.as_client(&client, "/o/token/", &[("grant_type", "client_credentials")]).await;
        assert_refused(method, &reply);
        let token = [("token", "anything")];
        assert_refused(method, &world.as_client(&client, "/o/introspect/", &token).await);
    }
    let public = world.register(&application("none", &json!({}))).await;
    let code = world.code_of("manager_mary", &public).await;
    let form = [
        ("client_id", member(&public, "clientId")),
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ];
    let reply = Reply::to(world.anonymous(Method::POST, "/o/token/").form(&form)).await;
    assert_refused("a public client", &reply);
}

#[tokio::test]
async fn an_assertion_is_refused_for_every_claim_that_is_wrong_rfc_7523_3() {
    let world = World::new().await;
    let signer = Signer::default();
    let client = world.register(&service("private_key_jwt", &json!({ "jwks": signer.jwks() }))).await;
    let name = member(&client, "clientId");
    let now = Timestamp::now().as_second();
    let end = world.audit_end().await;
    let cases = [
        ("iss", json!("other")),
        ("aud", json!("https://other.example/o/token/")),
        ("aud", json!(world.base)),
        ("aud", json!([format!("{}/o", world.base), "https://other.example"])),
        ("exp", json!(now - 1)),
        ("exp", json!(now + 3600)),
        ("nbf", json!(now + 200)),
    ];
    for (member, value) in &cases {
        let mut wrong = claims(&world, name, "j1");
        wrong[member] = value.clone();
        assert_refused(&format!("{member} {value}"), &ask(&world, &signer.sign(&wrong)).await);
    }
    assert_refused("another key", &ask(&world, &Signer::default().sign(&claims(&world, name, "j1"))).await);
    let events = world.audit_after(end).await;
    assert_eq!(events.len(), cases.len() + 1, "each refusal is recorded");
    assert!(events.iter().all(|event| event.refused_by.as_deref() == Some("token")));
    for malformed in ["", "a.b.c", "x"] {
        assert!(ask(&world, malformed).await.status.is_client_error(), "{malformed}");
    }
    // Whatever was refused has used up nothing.
    assert_eq!(ask(&world, &signer.sign(&claims(&world, name, "j1"))).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_assertion_counts_once_rfc_7523_3() {
    let world = World::new().await;
    let signer = Signer::default();
    let body = service("private_key_jwt", &json!({ "jwks": signer.jwks() }));
    let (client, twin) = (world.register(&body).await, world.register(&body).await);
    let assertion = signer.sign(&claims(&world, member(&client, "clientId"), "j1"));
    let (first, second) = tokio::join!(ask(&world, &assertion), ask(&world, &assertion));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401], "of two at the same time one is refused");
    assert_refused("again", &ask(&world, &assertion).await);
    let another = signer.sign(&claims(&world, member(&client, "clientId"), "j1"));
    assert_refused("the same id in another assertion", &ask(&world, &another).await);
    let of_twin = signer.sign(&claims(&world, member(&twin, "clientId"), "j1"));
    assert_eq!(ask(&world, &of_twin).await.status, StatusCode::OK, "ids are each client's own");
    // Ids are forgotten when their time is over.
    world.sql("UPDATE client_assertion SET expires_at = clock_timestamp() - interval '2 minutes'").await;
    let fresh = signer.sign(&claims(&world, member(&client, "clientId"), "j2"));
    assert_eq!(ask(&world, &fresh).await.status, StatusCode::OK);
    assert_eq!(world.count("SELECT count(*) FROM client_assertion").await, 2, "the twin's and the new one");
    assert_eq!(world.tables_with("client-assertion").await, [""; 0]);
}

#[tokio::test]
async fn a_client_proves_itself_in_the_one_way_it_is_registered_for_rfc_6749_2_3() {
    let world = World::new().await;
    let signer = Signer::default();
    let by_header = world.register(&service("client_secret_basic", &json!({}))).await;
    let by_form = world.register(&service("client_secret_post", &json!({}))).await;
    let by_key = world.register(&service("private_key_jwt", &json!({ "jwks": signer.jwks() }))).await;
    let grant = ("grant_type", "client_credentials");
    let post = || world.anonymous(Method::POST, "/o/token/");
    for (client, header, form) in [(&by_header, 200, 401), (&by_form, 401, 200)] {
        let (name, secret) = (member(client, "clientId"), member(client, "clientSecret"));
        let reply = Reply::to(post().form(&[grant]).basic_auth(name, Some(secret))).await;
        assert_eq!(reply.status.as_u16(), header, "{client}");
        let in_form = [grant, ("client_id", name), ("client_secret", secret)];
        let reply = Reply::to(post().form(&in_form)).await;
        assert_eq!(reply.status.as_u16(), form, "{client}");
        let both = Reply::to(post().form(&in_form).basic_auth(name, Some(secret))).await;
        assert_eq!((both.status.as_u16(), &both.json()["error"]), (400, &json!("invalid_request")));
        assert_refused("a signature", &ask(&world, &signer.sign(&claims(&world, name, "j1"))).await);
        assert_refused("a name alone", &Reply::to(post().form(&[grant, ("client_id", name)])).await);
    }
    let name = member(&by_key, "clientId");
    assert_refused("a secret", &Reply::to(post().form(&[grant]).basic_auth(name, Some("secret"))).await);
    assert_refused("a name alone", &Reply::to(post().form(&[grant, ("client_id", name)])).await);
    let public = world.register(&application("none", &json!({}))).await;
    let reply = Reply::to(post().form(&[grant]).basic_auth(member(&public, "clientId"), Some("secret"))).await;
    assert_refused("a public client with a secret", &reply);
}

#[tokio::test]
async fn keys_at_a_url_are_fetched_from_the_public_internet_alone() {
    let world = World::new().await;
    let signer = Signer::default();
    // The name is well formed, and leads nowhere (RFC 6761 6.4).
    let at_url = json!({ "jwksUri": "https://keys.invalid/jwks.json" });
    let client = world.register(&service("private_key_jwt", &at_url)).await;
    let assertion = signer.sign(&claims(&world, member(&client, "clientId"), "j1"));
    assert_refused("no keys", &ask(&world, &assertion).await);
    for url in [
        "http://keys.example/jwks",
        "https://localhost/jwks",
        "https://127.0.0.1/jwks",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/jwks",
        "https://user@keys.example/jwks",
        "file:///etc/passwd",
    ] {
        let (status, body) =
            world.post("admin", "/api/v1/clients", &service("private_key_jwt", &json!({ "jwksUri": url }))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{url}");
        assert!(body.get("jwksUri").is_some(), "{url}: {body}");
    }
}
