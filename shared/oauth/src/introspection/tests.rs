use serde_json::{Value, json};

use super::*;
use crate::client::Credential;
use crate::error::ErrorCode;
use crate::scope::Scope;
use crate::token::TokenHash;

const SITE: &str = "https://e.example";
const API: &str = "https://api.example";

fn client(id: i32, kind: ClientKind, resource_uri: Option<&str>) -> Client {
    Client {
        id,
        client_id: format!("app{id}"),
        name: String::new(),
        kind,
        redirect_uris: vec![],
        grant_types: vec![],
        scopes: Scope::default(),
        skip_authorization: false,
        resource_uri: resource_uri.map(str::to_owned),
        whole_access: false,
        requires_pushed_requests: false,
    }
}

fn confidential(id: i32, resource_uri: Option<&str>) -> Client {
    client(id, ClientKind::Confidential(Credential::SecretBasic(TokenHash::of("s"))), resource_uri)
}

fn token(kind: TokenKind) -> LiveToken {
    LiveToken {
        kind,
        client: 7,
        client_id: "app7".to_owned(),
        user: 10002,
        scope: "openid email".to_owned(),
        audience: Audience::default(),
        issued_at: Some(Timestamp::from_second(1000).unwrap()),
        expires_at: Timestamp::from_second(1900).unwrap(),
        key: None,
        auth_time: Timestamp::from_second(900).unwrap(),
        methods: Vec::new(),
    }
}

#[test]
fn a_client_sees_its_own_tokens_and_a_resource_server_access_tokens_for_it_rfc_7662_4() {
    let for_both = [SITE.to_owned(), API.to_owned()];
    for (client, of_site, of_both, refresh) in [
        (confidential(7, None), true, true, true),
        (confidential(7, Some(API)), true, true, true),
        (confidential(8, None), false, false, false),
        (confidential(8, Some(API)), false, true, false),
        (confidential(8, Some(SITE)), true, true, false),
        (confidential(8, Some("https://other.example")), false, false, false),
    ] {
        let shown = |kind, audience: &[String]| {
            let token = LiveToken { audience: Audience::of(audience.to_vec()), ..token(kind) };
            token.is_shown_to(&client, SITE)
        };
        assert_eq!(shown(TokenKind::Access, &[]), of_site, "{client:?}");
        assert_eq!(shown(TokenKind::Access, &for_both), of_both, "{client:?}");
        assert_eq!(shown(TokenKind::Refresh, &for_both), refresh, "{client:?}");
    }
}

#[test]
fn a_public_client_may_not_introspect_rfc_7662_2_1() {
    assert!(may_introspect(&confidential(7, None)).is_ok());
    assert_eq!(may_introspect(&client(7, ClientKind::Public, None)), Err(OAuthError::invalid_client()));
}

#[test]
fn the_answer_has_the_members_of_rfc_7662_2_2_that_are_needed() {
    let value = |answer: &Introspection| serde_json::to_value(answer).unwrap();
    assert_eq!(
        value(&Introspection::active(token(TokenKind::Access), "https://e.example/o", SITE)),
        json!({ "active": true, "scope": "openid email", "client_id": "app7", "sub": "10002", "exp": 1900, "iat": 1000,
                "iss": "https://e.example/o", "aud": [SITE], "token_type": "Bearer" })
    );
    let refresh = value(&Introspection::active(token(TokenKind::Refresh), "i", SITE));
    assert_eq!(refresh.get("token_type"), None);
    assert_eq!(refresh.get("aud"), None, "it is for this server's token endpoint");
    assert_eq!(refresh.get("username"), None::<&Value>);
}

#[test]
fn what_is_not_active_says_nothing_else_rfc_7662_2_2() {
    assert_eq!(serde_json::to_string(&Introspection::inactive()).unwrap(), r#"{"active":false}"#);
}

#[test]
fn a_request_names_a_token_and_a_client() {
    let parse = |form: &str| TokenQuestion::parse(None, &Params::from_form(form).unwrap()).map_err(|error| error.code);
    assert_eq!(parse("token=t&client_id=app&token_type_hint=nonsense").unwrap().token.expose(), "t");
    assert_eq!(parse("client_id=app").unwrap_err(), ErrorCode::InvalidRequest);
    assert_eq!(parse("token=t").unwrap_err(), ErrorCode::InvalidClient);
    assert_eq!(parse("token=t&token=u&client_id=app").unwrap_err(), ErrorCode::InvalidRequest);
}

#[test]
fn a_bound_token_is_shown_with_its_key_rfc_9449_6_2() {
    let shown = |kind| {
        let bound =
            LiveToken { kind, key: Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".to_owned()), ..token(kind) };
        serde_json::to_value(Introspection::active(bound, "https://e.example/o", SITE)).unwrap()
    };
    let access = shown(TokenKind::Access);
    assert_eq!(access["cnf"], serde_json::json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }));
    assert_eq!(access["token_type"], "DPoP");
    assert_eq!(shown(TokenKind::Refresh).get("token_type"), None);
}

#[test]
fn a_resource_server_learns_how_strong_the_sign_in_was_rfc_9470_6_2() {
    let shown = |methods: &[&str]| {
        let methods = methods.iter().map(|method| (*method).to_owned()).collect();
        let token = LiveToken { methods, ..token(TokenKind::Access) };
        serde_json::to_value(Introspection::active(token, "https://e.example/o", "https://e.example")).unwrap()
    };
    let strong = shown(&["pwd", "otp", "mfa"]);
    assert_eq!((&strong["acr"], &strong["auth_time"]), (&"urn:jupyterhealth:acr:two-factors".into(), &900.into()));
    assert_eq!(shown(&["pwd"])["acr"], "urn:jupyterhealth:acr:one-factor");
    let unknown = shown(&[]);
    assert_eq!((unknown.get("acr"), unknown.get("auth_time")), (None, None));
}
