use serde_json::{Value, json};

use super::*;
use crate::client::{AuthMethod, GrantType};
use crate::keys::Algorithm;
use crate::scope::SUPPORTED;
use crate::smart::SmartScope;

fn endpoints() -> Endpoints {
    Endpoints::new("https://e.example")
}

fn documents() -> [Value; 3] {
    let strict = Offers { pushed_requests_only: true, ..Offers::default() };
    [
        serde_json::to_value(OpenIdConfiguration::new(&endpoints(), Offers::default())).unwrap(),
        serde_json::to_value(ServerMetadata::new(&endpoints(), strict)).unwrap(),
        serde_json::to_value(SmartConfiguration::new(&endpoints(), Offers::default())).unwrap(),
    ]
}

#[test]
fn the_endpoints_are_under_the_issuer() {
    let [openid, server, smart] = documents();
    for document in [&openid, &server, &smart] {
        assert_eq!(document["authorization_endpoint"], "https://e.example/o/authorize/");
        assert_eq!(document["token_endpoint"], "https://e.example/o/token/");
    }
    for document in [&openid, &server] {
        assert_eq!(document["issuer"], "https://e.example/o");
        assert_eq!(document["jwks_uri"], "https://e.example/o/.well-known/jwks.json");
    }
    for document in [&openid, &server, &smart] {
        assert_eq!(document["revocation_endpoint"], "https://e.example/o/revoke_token/");
        assert_eq!(document["introspection_endpoint"], "https://e.example/o/introspect/");
    }
    for (document, requires) in [(&openid, false), (&server, true)] {
        // RFC 9126 5.
        assert_eq!(document["pushed_authorization_request_endpoint"], "https://e.example/o/par/");
        assert_eq!(document["require_pushed_authorization_requests"], requires);
    }
    assert_eq!(openid["userinfo_endpoint"], "https://e.example/o/userinfo/");
    assert_eq!(openid["end_session_endpoint"], "https://e.example/o/logout/");
    assert_eq!(Endpoints::new("https://e.example/").issuer(), "https://e.example/o");
}

#[test]
fn only_what_is_offered_is_listed() {
    let mut at_token_endpoint = GrantType::ALL.map(GrantType::as_str).to_vec();
    at_token_endpoint.retain(|name| *name != GrantType::TokenExchange.as_str());
    for document in documents() {
        assert_eq!(document["response_types_supported"], json!(["code"]));
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(document["grant_types_supported"], json!(at_token_endpoint));
        let methods = AuthMethod::ALL.map(AuthMethod::as_str);
        assert_eq!(document["token_endpoint_auth_methods_supported"], json!(methods));
        let algorithms = Algorithm::ALL.map(Algorithm::as_str);
        assert_eq!(document["token_endpoint_auth_signing_alg_values_supported"], json!(algorithms));
        let scopes: Vec<&str> =
            document["scopes_supported"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect();
        assert_eq!(scopes, SUPPORTED);
        let smart = scopes.iter().filter(|scope| scope.contains('.'));
        assert!(smart.clone().count() > 0 && smart.clone().all(|scope| SmartScope::parse(scope).is_some()));
    }
}

#[test]
fn token_exchange_is_named_where_there_is_a_provider_rfc_8693_2_1() {
    let offers = Offers { token_exchange: true, ..Offers::default() };
    let named = serde_json::to_value(ServerMetadata::new(&endpoints(), offers)).unwrap();
    assert_eq!(named["grant_types_supported"], json!(GrantType::ALL.map(GrantType::as_str)));
    assert_eq!(named["token_exchange_endpoint"], "https://e.example/o/token-exchange");
    for document in documents() {
        assert_eq!(document.get("token_exchange_endpoint"), None);
    }
}

#[test]
fn the_resource_is_named_as_tokens_name_it_rfc_9728_2() {
    let document = serde_json::to_value(ProtectedResource::new(&endpoints())).unwrap();
    assert_eq!(document["resource"], "https://e.example");
    assert_eq!(document["authorization_servers"], json!(["https://e.example/o"]));
    // RFC 6750 2.1, 2.2 and 2.3: neither in a form nor in the address.
    assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    assert_eq!(document["scopes_supported"], json!(SUPPORTED));
    let algorithms = Algorithm::ALL.map(Algorithm::as_str);
    assert_eq!(document["dpop_signing_alg_values_supported"], json!(algorithms));
}

#[test]
fn introspection_is_not_for_public_clients_rfc_7662_2_1() {
    let [openid, server, _] = documents();
    for document in [openid, server] {
        let methods = document["introspection_endpoint_auth_methods_supported"].as_array().unwrap();
        assert!(!methods.contains(&json!("none")));
        let of_revocation = document["revocation_endpoint_auth_methods_supported"].as_array().unwrap();
        assert!(of_revocation.contains(&json!("none")), "a public client ends what it has (RFC 7009 2.1)");
    }
}

#[test]
fn the_openid_document_has_what_discovery_3_requires() {
    let [openid, server, _] = documents();
    assert_eq!(openid["subject_types_supported"], json!(["public"]));
    assert_eq!(openid["id_token_signing_alg_values_supported"], json!(["RS256"]));
    // A request_uri counts as supported unless the document says otherwise.
    assert_eq!(openid["request_uri_parameter_supported"], json!(false));
    for document in [openid, server] {
        // RFC 9207 3.
        assert_eq!(document["authorization_response_iss_parameter_supported"], json!(true));
    }
}

#[test]
fn the_smart_document_has_what_its_capabilities_require() {
    let [.., smart] = documents();
    let capabilities = smart["capabilities"].as_array().unwrap();
    assert!(capabilities.contains(&json!("launch-standalone")));
    assert!(capabilities.contains(&json!("client-public")));
    // SMART App Launch 2.2, conformance: both are required with `sso-openid-connect`, and so is the claim.
    assert!(capabilities.contains(&json!("sso-openid-connect")) && CLAIMS.contains(&"fhirUser"));
    assert_eq!(smart["issuer"], "https://e.example/o");
    assert_eq!(smart["jwks_uri"], "https://e.example/o/.well-known/jwks.json");
}
