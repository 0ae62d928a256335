use serde_json::{Value, json};

use super::*;
use crate::client::Credential;
use crate::error::ErrorCode;
use crate::scope::Scope;
use crate::token::TokenHash;

fn client(id: i32, kind: ClientKind, is_resource_server: bool) -> Client {
    Client {
        id,
        client_id: format!("app{id}"),
        name: String::new(),
        kind,
        redirect_uris: vec![],
        grant_types: vec![],
        scopes: Scope::default(),
        skip_authorization: false,
        is_resource_server,
        whole_access: false,
        requires_pushed_requests: false,
    }
}

fn confidential(id: i32, is_resource_server: bool) -> Client {
    client(id, ClientKind::Confidential(Credential::SecretBasic(TokenHash::of("s"))), is_resource_server)
}

fn token(kind: TokenKind) -> LiveToken {
    LiveToken {
        kind,
        client: 7,
        client_id: "app7".to_owned(),
        user: 10002,
        scope: "openid email".to_owned(),
        issued_at: Some(Timestamp::from_second(1000).unwrap()),
        expires_at: Timestamp::from_second(1900).unwrap(),
        key: None,
    }
}

#[test]
fn a_client_sees_its_own_tokens_and_a_resource_server_access_tokens_rfc_7662_4() {
    for (client, access, refresh) in [
        (confidential(7, false), true, true),
        (confidential(7, true), true, true),
        (confidential(8, false), false, false),
        (confidential(8, true), true, false),
    ] {
        assert_eq!(token(TokenKind::Access).is_shown_to(&client), access, "{client:?}");
        assert_eq!(token(TokenKind::Refresh).is_shown_to(&client), refresh, "{client:?}");
    }
}

#[test]
fn a_public_client_may_not_introspect_rfc_7662_2_1() {
    assert!(may_introspect(&confidential(7, false)).is_ok());
    assert_eq!(may_introspect(&client(7, ClientKind::Public, false)), Err(OAuthError::invalid_client()));
}

#[test]
fn the_answer_has_the_members_of_rfc_7662_2_2_that_are_needed() {
    let value = |answer: &Introspection| serde_json::to_value(answer).unwrap();
    assert_eq!(
        value(&Introspection::active(token(TokenKind::Access), "https://e.example/o")),
        json!({ "active": true, "scope": "openid email", "client_id": "app7", "sub": "10002", "exp": 1900, "iat": 1000,
                "iss": "https://e.example/o", "token_type": "Bearer" })
    );
    let refresh = value(&Introspection::active(token(TokenKind::Refresh), "i"));
    assert_eq!(refresh.get("token_type"), None);
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
        serde_json::to_value(Introspection::active(bound, "https://e.example/o")).unwrap()
    };
    let access = shown(TokenKind::Access);
    assert_eq!(access["cnf"], serde_json::json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }));
    assert_eq!(access["token_type"], "DPoP");
    assert_eq!(shown(TokenKind::Refresh).get("token_type"), None);
}
