//! What pages of other origins may read (Fetch standard, CORS protocol).

use end_to_end::{World, application::Signer, reply::Reply};
use reqwest::{Method, header};
use serde_json::json;

/// The origin of the public client's redirect URI.
const CLIENTS: &str = "http://localhost:8000";

async fn from(world: &World, origin: &str, method: Method, path: &str) -> Reply {
    Reply::to(world.request("manager_mary", method, path).header(header::ORIGIN, origin)).await
}

/// What a browser asks before a script sends a token from another origin.
async fn preflight(world: &World, origin: &str, path: &str) -> Reply {
    let request = world
        .anonymous(Method::OPTIONS, path)
        .header(header::ORIGIN, origin)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization");
    Reply::to(request).await
}

#[tokio::test]
async fn public_documents_may_be_read_by_every_origin_and_kept_by_caches() {
    let world = World::new().await;
    for path in [
        "/o/.well-known/openid-configuration",
        "/o/.well-known/oauth-authorization-server",
        "/o/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource",
        "/o/.well-known/oauth-protected-resource",
        "/FHIR/R5/.well-known/smart-configuration",
        "/fhir/r5/.well-known/smart-configuration",
        "/FHIR/R5/metadata",
    ] {
        let reply = from(&world, "https://anybody.example", Method::GET, path).await;
        assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (200, "*"), "{path}");
        assert_eq!(reply.header("access-control-allow-credentials"), "", "{path}");
        if path.contains(".well-known") {
            assert!(reply.header("cache-control").starts_with("public, max-age="), "{path}");
        }
        let asked = preflight(&world, "https://anybody.example", path).await;
        assert_eq!((asked.status.as_u16(), asked.header("access-control-allow-origin")), (204, "*"), "{path}");
    }
}

/// What metadata may name: by which method, what an empty request is answered, whether browser apps may read it, and whether
/// caches may keep it.
const NAMED: [(&str, Method, u16, &str, &str); 10] = [
    ("authorization_endpoint", Method::GET, 400, "", "no-store"),
    ("end_session_endpoint", Method::GET, 302, "", "no-store"),
    ("introspection_endpoint", Method::POST, 400, "", "no-store"),
    ("issuer", Method::GET, 404, "", "no-store"),
    ("jwks_uri", Method::GET, 200, "*", "public, max-age=300"),
    ("pushed_authorization_request_endpoint", Method::POST, 400, CLIENTS, "no-store"),
    ("revocation_endpoint", Method::POST, 400, CLIENTS, "no-store"),
    ("token_endpoint", Method::POST, 400, CLIENTS, "no-store"),
    ("token_exchange_endpoint", Method::POST, 400, "", "no-store"),
    ("userinfo_endpoint", Method::GET, 401, CLIENTS, "no-store"),
];

#[tokio::test]
async fn every_url_that_metadata_names_answers_may_be_read_by_whom_it_is_for_and_is_kept_no_longer_than_it_may() {
    let ehr = json!([{ "issuer": "https://ehr.example", "audience": "jhe", "jwks": Signer::default().jwks() }]);
    let world = World::with(&[("TOKEN_EXCHANGE_ISSUERS", &ehr.to_string())]).await;
    world.sql("UPDATE oauth_client SET redirect_uris = ARRAY['http://localhost:8000/auth/callback']").await;
    for document in [
        "/o/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/FHIR/R5/.well-known/smart-configuration",
    ] {
        let found = Reply::to(world.anonymous(Method::GET, document)).await.json();
        let urls =
            found.as_object().expect("an object").iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
        let urls: Vec<(&String, &str)> = urls.collect();
        assert!(urls.len() >= 6, "{document}: {urls:?}");
        for (name, url) in urls {
            let known = NAMED.into_iter().find(|(known, ..)| known == name);
            let (_, method, status, readers, cache) = known.unwrap_or_else(|| panic!("{document} names {name}"));
            let path = url.strip_prefix(world.base.as_str()).expect("of this site");
            let request = world.anonymous(method.clone(), path).header(header::ORIGIN, CLIENTS);
            let request = if method == Method::POST { request.form(&[("a", "b")]) } else { request };
            let reply = Reply::to(request).await;
            assert_eq!(reply.status.as_u16(), status, "{document}: {url}: {}", reply.text);
            assert_eq!(reply.header("access-control-allow-origin"), readers, "{document}: {url}");
            assert_eq!(reply.header("cache-control"), cache, "{document}: {url}");
            let asked = preflight(&world, CLIENTS, path).await;
            assert_eq!(
                asked.header("access-control-allow-methods").contains(method.as_str()),
                !readers.is_empty(),
                "{url}"
            );
        }
    }
}

/// What a client asks with its token from a browser.
const WITH_TOKEN: [(Method, &str); 7] = [
    (Method::POST, "/o/token/"),
    (Method::POST, "/o/revoke_token/"),
    (Method::GET, "/o/userinfo/"),
    (Method::GET, "/FHIR/R5/Patient"),
    (Method::GET, "/fhir/r5/Observation/1"),
    (Method::GET, "/api/v1/users/profile"),
    (Method::PATCH, "/api/v1/patients/40001/consents"),
];

#[tokio::test]
async fn what_is_asked_with_a_token_may_be_read_by_the_origins_of_clients_only() {
    let world = World::with(&[("CORS_ALLOWED_ORIGINS", "https://viewer.example, http://localhost:3000")]).await;
    world.sql("UPDATE oauth_client SET redirect_uris = ARRAY['http://localhost:8000/auth/callback']").await;
    world.sql("UPDATE oauth_client SET redirect_uris = ARRAY['https://app.example?x=1'] WHERE id = 1").await;
    for (method, path) in WITH_TOKEN {
        for origin in [CLIENTS, "https://app.example", "https://viewer.example", "http://localhost:3000"] {
            let reply = from(&world, origin, method.clone(), path).await;
            assert_eq!(reply.header("access-control-allow-origin"), origin, "{path}: {}", reply.text);
            assert!(reply.header("access-control-expose-headers").contains("www-authenticate"), "{path}");
            let asked = preflight(&world, origin, path).await;
            assert_eq!((asked.status.as_u16(), asked.header("access-control-allow-origin")), (204, origin), "{path}");
            assert!(asked.header("access-control-allow-methods").contains(method.as_str()), "{path}");
            assert!(asked.header("access-control-allow-headers").contains("authorization"), "{path}");
        }
        for origin in [
            "https://evil.example",
            "null",
            "*",
            "http://localhost:800",
            "http://localhost:80000",
            "https://localhost:8000",
            "http://localhost",
            "https://app.example.evil.example",
            "https://app.exampl",
            "https://viewer.example/",
            "http://localhost:8000/auth",
            "HTTP://LOCALHOST:8000",
            "http://localhost:8000 https://evil.example",
            "%",
        ] {
            for reply in [from(&world, origin, method.clone(), path).await, preflight(&world, origin, path).await] {
                assert_eq!(reply.header("access-control-allow-origin"), "", "{path} {origin}");
            }
        }
        for origin in [CLIENTS, "https://evil.example"] {
            let reply = from(&world, origin, method.clone(), path).await;
            assert_eq!(reply.header("vary"), "origin", "{path}: a cache must not mix them");
            assert_eq!(reply.header("access-control-allow-credentials"), "", "{path}: never with cookies");
        }
    }
}

#[tokio::test]
async fn pages_and_introspection_may_be_read_by_no_other_origin() {
    let world = World::new().await;
    for path in
        ["/", "/accounts/login/", "/accounts/logout/", "/o/authorize/", "/o/introspect/", "/o/logout/", "/health"]
    {
        for origin in [CLIENTS, "https://evil.example"] {
            for reply in [from(&world, origin, Method::GET, path).await, preflight(&world, origin, path).await] {
                assert_eq!(reply.header("access-control-allow-origin"), "", "{path}");
                assert_eq!(reply.header("access-control-allow-methods"), "", "{path}");
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_can_be_read_by_the_client_too() {
    let world = World::new().await;
    world.sql("UPDATE oauth_client SET redirect_uris = ARRAY['http://localhost:8000/auth/callback']").await;
    let reply = Reply::to(world.anonymous(Method::GET, "/FHIR/R5/Patient").header(header::ORIGIN, CLIENTS)).await;
    assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (401, CLIENTS));
}
