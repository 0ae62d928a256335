use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::error::ErrorCode;
use crate::keys::Algorithm;
use crate::keys::tests::{P384, RSA, set};
use crate::scope::Scope;
use crate::token::TokenHash;

fn client(client_id: &str, kind: ClientKind) -> Client {
    Client {
        id: 1,
        client_id: client_id.to_owned(),
        name: "CareX".to_owned(),
        kind,
        redirect_uris: vec![],
        grant_types: vec![],
        scopes: Scope::default(),
        skip_authorization: false,
        resource_uri: None,
        whole_access: false,
        requires_pushed_requests: false,
    }
}

/// A client that is registered for `client_secret_basic`.
fn confidential(secret: &str) -> Client {
    client("app", ClientKind::Confidential(Credential::SecretBasic(TokenHash::of(secret))))
}

fn by_form(secret: &str) -> Client {
    client("app", ClientKind::Confidential(Credential::SecretPost(TokenHash::of(secret))))
}

fn by_key(source: KeySource) -> Client {
    client("app", ClientKind::Confidential(Credential::PrivateKey(source)))
}

fn assertion() -> String {
    let claims = json!({ "iss": "app", "sub": "app", "aud": "https://e.example/o/token/", "exp": 1100, "jti": "j1" });
    let jwt = P384.sign(Algorithm::Es384, Some("f"), &claims);
    let kind: String = form_urlencoded::byte_serialize(assertion::TYPE.as_bytes()).collect();
    format!("client_assertion_type={kind}&client_assertion={jwt}")
}

fn is_proved(sender: &ClientAuthentication, client: &Client) -> bool {
    let now = Timestamp::from_second(1000).unwrap();
    sender.verify(client, None, &Endpoints::new("https://e.example"), now).is_ok()
}

fn parse(authorization: Option<&str>, form: &str) -> Result<ClientAuthentication, ErrorCode> {
    let params = Params::from_form(form).unwrap();
    ClientAuthentication::parse(authorization, &params).map_err(|error| error.code)
}

fn basic_header(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

#[test]
fn a_public_client_names_itself_rfc_6749_3_2_1() {
    let sender = parse(None, "client_id=app").unwrap();
    assert_eq!(sender.client_id(), "app");
    assert!(is_proved(&sender, &client("app", ClientKind::Public)));
    assert!(!is_proved(&sender, &client("other", ClientKind::Public)));
}

#[test]
fn a_confidential_client_must_prove_itself_in_the_way_it_is_registered_for_rfc_6749_3_2_1() {
    for (authorization, form, basic, post) in [
        (Some(basic_header("app:s3cret")), "", true, false),
        (Some(basic_header("app:s3cret")), "client_id=app", true, false),
        (Some(basic_header("app:S3cret")), "", false, false),
        (Some(basic_header("app:")), "", false, false),
        (None, "client_id=app&client_secret=s3cret", false, true),
        (None, "client_id=app&client_secret=wrong", false, false),
        (None, "client_id=app&client_secret=", false, false),
        (None, "client_id=app", false, false),
        (None, assertion().as_str(), false, false),
    ] {
        let sender = parse(authorization.as_deref(), form).unwrap();
        assert_eq!(is_proved(&sender, &confidential("s3cret")), basic, "{authorization:?} {form}");
        assert_eq!(is_proved(&sender, &by_form("s3cret")), post, "{authorization:?} {form}");
    }
}

#[test]
fn a_client_that_signs_is_proved_by_its_keys_alone_rfc_7523_2_2() {
    let right = by_key(KeySource::Value(set(&[P384.public()])));
    let others = by_key(KeySource::Value(set(&[RSA.public()])));
    for (form, good) in [
        (assertion(), true),
        (format!("{}&client_id=app", assertion()), true),
        ("client_id=app&client_secret=s3cret".to_owned(), false),
        ("client_id=app".to_owned(), false),
    ] {
        let sender = parse(None, &form).unwrap();
        assert_eq!(sender.client_id(), "app");
        assert_eq!(is_proved(&sender, &right), good, "{form}");
        assert!(!is_proved(&sender, &others), "{form}");
    }
    assert!(!is_proved(&parse(Some(&basic_header("app:s3cret")), "").unwrap(), &right));
    let now = Timestamp::from_second(1000).unwrap();
    let used = parse(None, &assertion()).unwrap().verify(&right, None, &Endpoints::new("https://e.example"), now);
    assert_eq!(used.unwrap().unwrap().id, TokenHash::of("j1"), "the id is handed on, to be used once");
}

#[test]
fn keys_at_a_url_are_asked_for_and_nothing_is_proved_without_them() {
    let at_url = by_key(KeySource::Url("https://a.example/jwks".to_owned()));
    let sender = parse(None, &assertion()).unwrap();
    assert_eq!(sender.needs_keys(&at_url), Some(("https://a.example/jwks", Some("f"))));
    let (endpoints, now) = (Endpoints::new("https://e.example"), Timestamp::from_second(1000).unwrap());
    assert!(sender.verify(&at_url, None, &endpoints, now).is_err());
    assert!(sender.verify(&at_url, Some(&set(&[RSA.public()])), &endpoints, now).is_err());
    assert!(sender.verify(&at_url, Some(&set(&[P384.public()])), &endpoints, now).is_ok());
    // Nobody but a client that signs makes us fetch anything.
    let by_value = by_key(KeySource::Value(set(&[P384.public()])));
    for client in [by_value, confidential("s"), client("app", ClientKind::Public)] {
        assert_eq!(sender.needs_keys(&client), None);
    }
    assert_eq!(parse(None, "client_id=app").unwrap().needs_keys(&at_url), None);
}

#[test]
fn a_public_client_with_a_secret_is_refused() {
    let public = client("app", ClientKind::Public);
    assert!(!is_proved(&parse(None, "client_id=app&client_secret=x").unwrap(), &public));
    assert!(!is_proved(&parse(Some(&basic_header("app:x")), "").unwrap(), &public));
    assert!(!is_proved(&parse(None, &assertion()).unwrap(), &public));
    assert!(is_proved(&parse(Some(&basic_header("app:")), "").unwrap(), &public));
}

#[test]
fn only_one_method_rfc_6749_2_3() {
    let header = basic_header("app:s");
    assert_eq!(parse(Some(&header), "client_id=app&client_secret=s").unwrap_err(), ErrorCode::InvalidRequest);
    assert_eq!(parse(Some(&header), "client_id=other").unwrap_err(), ErrorCode::InvalidRequest);
    assert_eq!(parse(None, "client_id=a&client_id=b").unwrap_err(), ErrorCode::InvalidRequest);
    let signed = assertion();
    assert_eq!(parse(Some(&header), &signed).unwrap_err(), ErrorCode::InvalidRequest);
    assert_eq!(parse(None, &format!("{signed}&client_secret=s")).unwrap_err(), ErrorCode::InvalidRequest);
    assert_eq!(parse(None, &format!("{signed}&client_id=other")).unwrap_err(), ErrorCode::InvalidRequest);
    let untyped = signed.split_once('&').unwrap().1;
    assert_eq!(parse(None, untyped).unwrap_err(), ErrorCode::InvalidRequest);
}

#[test]
fn basic_is_form_encoded_rfc_6749_2_3_1() {
    for (name_and_secret, secret) in [("a%3Ab:p%26q+r%2B", "p&q r+"), ("a%3Ab:p&q=r", "p&q=r"), ("a%3Ab:x:y", "x:y")] {
        let sender = parse(Some(&basic_header(name_and_secret)), "").unwrap();
        assert_eq!(sender.client_id(), "a:b");
        let kind = ClientKind::Confidential(Credential::SecretBasic(TokenHash::of(secret)));
        assert!(is_proved(&sender, &client("a:b", kind)), "{name_and_secret}");
    }
}

#[test]
fn the_scheme_is_basic_in_any_case() {
    let key = STANDARD.encode("app:s");
    for (header, good) in [
        (format!("Basic {key}"), true),
        (format!("bAsIc {key}"), true),
        (format!("Bearer {key}"), false),
        ("Basic".to_owned(), false),
        ("Basic !".to_owned(), false),
        (basic_header("no colon"), false),
        (basic_header(":secret"), false),
        (basic_header("app:\u{7}"), false),
        (format!("Basic {}", STANDARD.encode([0xff, b':', 0xff])), false),
        (basic_header(&format!("app:{}", "a".repeat(MAX_CHARACTERS + 1))), false),
        (format!("Basic {}", "A".repeat(100_000)), false),
    ] {
        let answer = parse(Some(&header), "");
        assert_eq!(answer.is_ok(), good, "{header}");
        if let Err(code) = answer {
            assert_eq!(code, ErrorCode::InvalidClient, "{header}");
        }
    }
}

#[test]
fn nobody_is_not_a_client() {
    assert_eq!(parse(None, "").unwrap_err(), ErrorCode::InvalidClient);
    assert_eq!(parse(None, "client_secret=s").unwrap_err(), ErrorCode::InvalidClient);
}

#[test]
fn debug_shows_no_secret() {
    let sender = parse(None, "client_id=app&client_secret=s3cret").unwrap();
    assert!(!format!("{sender:?}").contains("s3cret"));
}

proptest! {
    #[test]
    fn no_header_panics(header in ".*", decoded in ".*") {
        let _ = parse(Some(&header), "");
        let _ = parse(Some(&basic_header(&decoded)), "client_id=app");
    }

    #[test]
    fn only_the_secret_itself_is_accepted(secret in "[A-Za-z0-9_-]{1,43}", tried in "[A-Za-z0-9_-]{1,43}") {
        let sender = parse(Some(&basic_header(&format!("app:{tried}"))), "").unwrap();
        prop_assert_eq!(is_proved(&sender, &confidential(&secret)), secret == tried);
    }
}
