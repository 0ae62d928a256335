//! Every route of the template against callers without a token and against input that means harm: always a refusal in the
//! shape of the protocol, never an error of ours.

use crate::rest_matrix::declared;
use end_to_end::{World, reply::Reply};
use reqwest::{Method, StatusCode};
use runtime::Protocol;
use standalone::{FUNCTIONS, routes::Route};
use std::collections::{BTreeMap, BTreeSet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The routes that answer without an access token, and why.
pub const PUBLIC: &[(&str, &str)] = &[
    ("GET /", "says what it is"),
    ("GET /api/schema", "the description of the API"),
    ("GET /api/schema/", "the description of the API"),
    ("GET /api/schema/redoc/", "the description of the API, for people"),
    ("GET /api/schema/swagger-ui/", "the description of the API, for people"),
    ("GET /health", "whether it runs"),
    ("GET /api/v1/tls-pins", "public keys of the site's certificates"),
    ("GET /FHIR/R5/metadata", "what it can do"),
    ("GET /fhir/r5/metadata", "what it can do"),
    ("GET /FHIR/R5/.well-known/smart-configuration", "where to get a token"),
    ("GET /fhir/r5/.well-known/smart-configuration", "where to get a token"),
    ("GET /.well-known/oauth-authorization-server", "where to get a token"),
    ("GET /o/.well-known/oauth-authorization-server", "where to get a token"),
    ("GET /.well-known/oauth-protected-resource", "where to get a token"),
    ("GET /o/.well-known/oauth-protected-resource", "where to get a token"),
    ("GET /o/.well-known/openid-configuration", "where to get a token"),
    ("GET /o/.well-known/openid-configuration/", "where to get a token"),
    ("GET /o/.well-known/jwks.json", "public keys"),
    ("POST /o/token/", "gives the token: a code or a refresh token is asked"),
    ("POST /o/par/", "asks for the client, which a public one only names"),
    ("POST /o/token-exchange", "the token of another provider is the credential"),
    ("POST /o/token-exchange/", "the token of another provider is the credential"),
    ("POST /o/introspect/", "asks for the client's credentials"),
    ("POST /o/revoke_token/", "asks for the client's credentials"),
    ("GET /o/authorize/", "leads to the login page"),
    ("POST /o/authorize/", "asks for the session of the login page"),
    ("GET /accounts/login/", "the login page"),
    ("POST /accounts/login/", "asks for a password"),
    ("GET /accounts/logout/", "asks for the session of the login page"),
    ("POST /accounts/logout/", "asks for the session of the login page"),
    ("GET /o/logout/", "asks for the session of the login page"),
    ("POST /o/logout/", "asks for the session of the login page"),
    ("POST /api/v1/invitation/{invitation}", "the invitation is the credential"),
    ("GET /accounts/email-code/", "asks for the session of the login page"),
    ("POST /accounts/email-code/", "asks for the session of the login page"),
    ("GET /accounts/password/", "asks for the session of the login page"),
    ("POST /accounts/password/", "asks for the session of the login page"),
    ("GET /accounts/sessions/", "asks for the session of the login page"),
    ("POST /accounts/sessions/", "asks for the session of the login page"),
    ("GET /accounts/second-factor/", "asks for a right password before"),
    ("POST /accounts/second-factor/", "asks for a right password before"),
    ("GET /accounts/second-factor/enrol/", "asks for a right password before"),
    ("POST /accounts/second-factor/enrol/", "asks for a right password before"),
    ("GET /accounts/second-factor/manage/", "asks for the session of the login page"),
    ("POST /accounts/second-factor/manage/", "asks for the session of the login page"),
    ("GET /accounts/passkey/", "leads to the login page"),
    ("POST /accounts/passkey/", "asks for a passkey"),
    ("GET /accounts/second-factor/passkey/", "asks for a right password before"),
    ("POST /accounts/second-factor/passkey/", "asks for a right password before"),
    ("GET /accounts/second-factor/passkey/enrol/", "asks for a right password before"),
    ("POST /accounts/second-factor/passkey/enrol/", "asks for a right password before"),
    ("GET /accounts/passkey/script.js", "the same for everybody"),
    ("GET /accounts/reset/", "sends e-mail to the account"),
    ("POST /accounts/reset/", "sends e-mail to the account"),
    ("GET /accounts/reset/confirm/", "the link is the credential"),
    ("POST /accounts/reset/confirm/", "the link is the credential"),
    ("GET /accounts/sign-up/", "sends e-mail to the account"),
    ("POST /accounts/sign-up/", "sends e-mail to the account"),
    ("GET /accounts/verify/", "the link is the credential"),
    ("POST /accounts/verify/", "the link is the credential"),
    ("GET /saml2/metadata/", "who this service provider is"),
    ("GET /saml2/login/", "leads to the identity provider"),
    ("POST /saml2/login/", "leads to the identity provider"),
    ("POST /saml2/acs/", "the signed assertion is the credential"),
    ("GET /saml2/logout/", "asks for the session of the login page"),
    ("POST /saml2/logout/", "asks for the session of the login page"),
    ("GET /saml2/ls/", "the identity provider's signature is the credential"),
    ("POST /saml2/ls/post/", "the identity provider's signature is the credential"),
];

pub fn routes() -> Vec<Route> {
    let routes = declared();
    assert!(routes.len() > 50, "the template's routes");
    routes
}

fn protocol(route: &Route) -> Protocol {
    FUNCTIONS.iter().find(|function| function.name == route.function).expect("a function").protocol
}

pub fn method(route: &Route) -> Method {
    route.method.parse().expect("a method")
}

/// The path with its variables replaced.
pub fn filled(path: &str, value: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { value } else { part }).collect::<Vec<_>>().join("/")
}

fn name(route: &Route) -> String {
    format!("{} {}", route.method, route.path)
}

#[tokio::test]
async fn every_route_that_is_not_public_asks_for_a_valid_token() {
    let world = World::new().await;
    let public: BTreeSet<&str> = PUBLIC.iter().map(|(route, _)| *route).collect();
    let mut answered = BTreeSet::new();
    for route in routes() {
        let path = filled(&route.path, "40001");
        let ask = || world.anonymous(method(&route), &path);
        let bare = world.token("manager_mary");
        let attempts = [
            ("no token", ask()),
            ("an unknown token", ask().bearer_auth("A".repeat(43))),
            ("an empty token", ask().header("authorization", "Bearer ")),
            ("another scheme", ask().header("authorization", format!("Basic {bare}"))),
            ("no scheme", ask().header("authorization", bare)),
            ("two tokens", ask().bearer_auth(bare).bearer_auth(world.token("admin"))),
            ("a token in the URL", world.anonymous(method(&route), &format!("{path}?access_token={bare}"))),
            ("no text", ask().header("authorization", &b"Bearer \xff\xfe"[..])),
            ("a very long token", ask().bearer_auth("A".repeat(5000))),
        ];
        for (what, request) in attempts {
            let what = format!("{} with {what}", name(&route));
            let reply = Reply::to(request).await;
            reply.assert_well_formed(protocol(&route), &what);
            if public.contains(name(&route).as_str()) {
                if reply.status != StatusCode::UNAUTHORIZED {
                    answered.insert(name(&route));
                }
                continue;
            }
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{what}: {}", reply.text);
            assert!(reply.header("www-authenticate").starts_with("Bearer"), "{what}");
            assert_eq!(reply.header("cache-control"), "no-store", "{what}");
        }
    }
    let needed: BTreeSet<&str> = answered.iter().map(String::as_str).collect();
    assert_eq!(public, needed, "an exemption that is not needed any more must go");
}

#[tokio::test]
async fn an_id_that_is_none_names_nothing() {
    let world = World::new().await;
    let long = "9".repeat(3000);
    let ids = [
        "-1",
        "2147483648",
        "99999999999999999999",
        "abc",
        "1e3",
        "1.0",
        "%00",
        "40001%00",
        "%ff",
        "%zz",
        "+40001",
        "040001",
        "%2040001",
        "40001%20",
        "0x9c41",
        "%D9%A4",
        "'%20OR%201=1--",
        "40001;",
        "40001,40002",
        "NaN",
        "null",
        "%2F",
        long.as_str(),
    ];
    for route in routes().iter().filter(|route| route.path.contains('{')) {
        for id in ids {
            for user in ["manager_mary", "ll_patient_peter", "admin"] {
                let what = format!("{user} {} {id:.30}", name(route));
                let reply = Reply::to(world.request(user, method(route), &filled(&route.path, id))).await;
                reply.assert_well_formed(protocol(route), &what);
                assert!(reply.status.is_client_error(), "{what}: {}", reply.status);
            }
        }
    }
}

#[tokio::test]
async fn a_query_that_means_harm_is_refused_or_ignored() {
    let world = World::new().await;
    let long = format!("patient={}", "4".repeat(20_000));
    let queries = [
        "%00=%00",
        "a=%ff%fe",
        "=&=&&&",
        "%",
        "page=0",
        "page=-1",
        "page=abc",
        "page=99999999999999999999",
        "pageSize=abc",
        "pageSize=0",
        "page_size=99999999999999999999",
        "organizationId=abc",
        "organization_id=%00",
        "studyId=-1",
        "study_id=99999999999999999999",
        "patient=%00",
        "email=%00",
        "_count=%00",
        "_id=%00",
        "name=%00",
        "birthdate=%00",
        "birthdate=0000-00-00",
        "_cursor=AAAA",
        "_has:Group:member:_id=%00",
        "client_id=%00&state=%00",
        "next=%00",
        "response_type=code&client_id=%00&redirect_uri=%00",
        long.as_str(),
    ];
    for route in routes().iter().filter(|route| route.method == "GET" || route.path.ends_with("/_search")) {
        for query in queries {
            for user in ["manager_mary", "ll_patient_peter", "admin"] {
                let what = format!("{user} {} {query:.40}", name(route));
                let path = format!("{}?{query}", filled(&route.path, "40001"));
                Reply::to(world.request(user, method(route), &path)).await.assert_well_formed(protocol(route), &what);
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_means_harm_is_refused() {
    let world = World::new().await;
    let deep = |open: &str, close: &str, times| format!("{}1{}", open.repeat(times), close.repeat(times));
    let (arrays, objects, deeper) = (deep("[", "]", 100), deep("{\"a\":", "}", 100), deep("[", "]", 10_000));
    let numbers = format!("{{\"id\": {}}}", "9".repeat(400));
    let bodies: [&[u8]; 18] = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b"\"text\"",
        b"[null]",
        b"{\"a\":1,}",
        b"{}{}",
        b"\xff\xfe",
        b"{\"\\ud800\": 1}",
        b"{\"\\u0000\": \"\\u0000\"}",
        b"{\"resourceType\": []}",
        b"{\"resourceType\": \"Bundle\", \"type\": \"batch\", \"entry\": {}}",
        arrays.as_bytes(),
        objects.as_bytes(),
        deeper.as_bytes(),
        numbers.as_bytes(),
    ];
    // What ends everybody's access takes no body, and would end that of the callers.
    let has_no_body = |route: &Route| route.method == "GET" || route.path == "/api/v1/users/sessions";
    for route in routes().iter().filter(|route| !has_no_body(route)) {
        for body in bodies {
            for user in ["manager_mary", "ll_patient_peter", "admin"] {
                let what = format!("{user} {} {:.30}", name(route), String::from_utf8_lossy(body));
                let request = world.request(user, method(route), &filled(&route.path, "40001"));
                let reply = Reply::to(request.header("content-type", "application/json").body(body.to_vec())).await;
                reply.assert_well_formed(protocol(route), &what);
                // Whoever presents a token is told who they are, whatever the body.
                let reads_no_body = route.path == "/o/userinfo/";
                assert!(reads_no_body || !reply.status.is_success(), "{what}: {} {}", reply.status, reply.text);
            }
        }
        for form in [
            "%",
            "a=%00",
            "%00=a",
            "username=%00&password=%00",
            "grant_type=%00",
            "client_id=%ff&code=%00",
            "patient=%00",
        ] {
            let what = format!("{} {form}", name(route));
            let request = world.request("manager_mary", method(route), &filled(&route.path, "40001"));
            let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
            Reply::to(request).await.assert_well_formed(protocol(route), &what);
        }
    }
}

#[tokio::test]
async fn a_body_over_six_megabytes_is_refused_everywhere() {
    let world = World::new().await;
    for route in routes().iter().filter(|route| route.method != "GET" && !route.path.starts_with("/fhir/")) {
        let request = world.request("manager_mary", method(route), &filled(&route.path, "40001"));
        let body = vec![b' '; 6 * 1024 * 1024 + 1];
        let reply = Reply::to(request.header("content-type", "application/json").body(body)).await;
        reply.assert_well_formed(protocol(route), &name(route));
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", name(route));
    }
}

#[tokio::test]
async fn methods_that_a_path_does_not_have_are_refused_and_those_it_has_are_named() {
    let world = World::new().await;
    let mut paths: BTreeMap<String, (Protocol, BTreeSet<String>)> = BTreeMap::new();
    for route in routes() {
        let (_, methods) = paths.entry(route.path.clone()).or_insert_with(|| (protocol(&route), BTreeSet::new()));
        methods.insert(route.method);
    }
    for (path, (protocol, methods)) in paths {
        for other in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
            if methods.contains(other) {
                continue;
            }
            let what = format!("{other} {path}");
            let method = other.parse().expect("a method");
            let reply = Reply::to(world.request("manager_mary", method, &filled(&path, "40001"))).await;
            reply.assert_well_formed(protocol, &what);
            assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{what}");
            let allowed: BTreeSet<String> = reply.header("allow").split(", ").map(str::to_owned).collect();
            assert_eq!(allowed, methods, "{what}");
        }
    }
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_refused_in_the_shape_of_their_neighbours() {
    let world = World::new().await;
    let paths = [
        ("/FHIR/R5/Observation/", Protocol::Fhir),
        ("/FHIR/R5/Observation/1/2", Protocol::Fhir),
        ("/FHIR/R4/Observation", Protocol::Fhir),
        ("/fhir/r5/Device/1/_history", Protocol::Fhir),
        ("/FHIR/R5/Nothing/1/2", Protocol::Fhir),
        ("/api/v1/nothing", Protocol::Rest),
        ("/api/v1/patients/", Protocol::Rest),
        ("/api/v2/patients", Protocol::Rest),
        ("/api/v1/patients/1/2/3", Protocol::Rest),
        ("/o/nothing", Protocol::OAuth),
        ("/o/token/more", Protocol::OAuth),
        ("/nothing", Protocol::Page),
        ("//", Protocol::Page),
        ("/%ff", Protocol::Page),
        ("/accounts/", Protocol::Page),
    ];
    for (path, protocol) in paths {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let what = format!("{method} {path}");
            let reply = Reply::to(world.request("manager_mary", method, path)).await;
            reply.assert_well_formed(protocol, &what);
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{what}");
        }
    }
}

/// What the server answers to bytes of any kind, until it closes the connection.
async fn raw(world: &World, bytes: &str) -> String {
    let address = world.base.strip_prefix("http://").expect("plain HTTP").to_owned();
    let mut connection = tokio::net::TcpStream::connect(address).await.expect("a connection");
    connection.write_all(bytes.as_bytes()).await.expect("a request");
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_client_that_never_ends_its_headers_is_let_go() {
    let world = World::new().await;
    // Comes back only when the server closes the connection.
    let answer = raw(&world, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "nothing was served");
}

#[tokio::test]
async fn a_body_that_is_broken_or_announced_too_long_is_refused_for_what_it_is() {
    let world = World::new().await;
    let post = "POST /FHIR/R5/Observation HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n";
    for (rest, status) in [
        ("Transfer-Encoding: chunked\r\n\r\nZZ\r\n", "400"),
        ("Content-Length: 99999999999999\r\n\r\n{", "413"),
        ("Content-Length: 50000000\r\nExpect: 100-continue\r\n\r\n", "413"),
    ] {
        let answer = raw(&world, &format!("{post}{rest}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{rest:?}: {answer}");
    }
}
