use proptest::prelude::*;

use super::*;
use crate::error::ErrorCode;
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
    }
}

fn confidential(secret: &str) -> Client {
    client("app", ClientKind::Confidential { secret_hash: TokenHash::of(secret) })
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
    assert!(sender.verify(&client("app", ClientKind::Public)).is_ok());
    assert!(sender.verify(&client("other", ClientKind::Public)).is_err());
}

#[test]
fn a_confidential_client_must_prove_itself_rfc_6749_3_2_1() {
    let right = confidential("s3cret");
    for (authorization, form, good) in [
        (Some(basic_header("app:s3cret")), "", true),
        (Some(basic_header("app:s3cret")), "client_id=app", true),
        (Some(basic_header("app:S3cret")), "", false),
        (Some(basic_header("app:")), "", false),
        (None, "client_id=app&client_secret=s3cret", true),
        (None, "client_id=app&client_secret=wrong", false),
        (None, "client_id=app&client_secret=", false),
        (None, "client_id=app", false),
    ] {
        let sender = parse(authorization.as_deref(), form).unwrap();
        assert_eq!(sender.verify(&right).is_ok(), good, "{authorization:?} {form}");
    }
}

#[test]
fn a_public_client_with_a_secret_is_refused() {
    let public = client("app", ClientKind::Public);
    assert!(parse(None, "client_id=app&client_secret=x").unwrap().verify(&public).is_err());
    assert!(parse(Some(&basic_header("app:x")), "").unwrap().verify(&public).is_err());
    assert!(parse(Some(&basic_header("app:")), "").unwrap().verify(&public).is_ok());
}

#[test]
fn only_one_method_rfc_6749_2_3() {
    let header = basic_header("app:s");
    assert_eq!(parse(Some(&header), "client_id=app&client_secret=s").unwrap_err(), ErrorCode::InvalidRequest);
    assert_eq!(parse(Some(&header), "client_id=other").unwrap_err(), ErrorCode::InvalidRequest);
    assert_eq!(parse(None, "client_id=a&client_id=b").unwrap_err(), ErrorCode::InvalidRequest);
}

#[test]
fn basic_is_form_encoded_rfc_6749_2_3_1() {
    for (name_and_secret, secret) in [("a%3Ab:p%26q+r%2B", "p&q r+"), ("a%3Ab:p&q=r", "p&q=r"), ("a%3Ab:x:y", "x:y")] {
        let sender = parse(Some(&basic_header(name_and_secret)), "").unwrap();
        assert_eq!(sender.client_id(), "a:b");
        let kind = ClientKind::Confidential { secret_hash: TokenHash::of(secret) };
        assert!(sender.verify(&client("a:b", kind)).is_ok(), "{name_and_secret}");
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
        prop_assert_eq!(sender.verify(&confidential(&secret)).is_ok(), secret == tried);
    }
}
