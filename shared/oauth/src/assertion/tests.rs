use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::keys::Algorithm;
use crate::keys::tests::{P256, P384, RSA, set};

const NOW: i64 = 1_000_000;

fn endpoints() -> Endpoints {
    Endpoints::new("https://e.example")
}

fn claims() -> Value {
    json!({ "iss": "app", "sub": "app", "aud": "https://e.example/o/token/", "exp": NOW + 300, "iat": NOW, "jti": "j1" })
}

fn keys() -> KeySet {
    set(&[RSA.public(), P256.public(), P384.public()])
}

fn judge(jwt: &str) -> Result<SingleUse, AssertionError> {
    Assertion::parse(jwt)?.verify("app", &keys(), &endpoints(), Timestamp::from_second(NOW).unwrap())
}

fn with(member: &str, value: Value) -> Result<SingleUse, AssertionError> {
    let mut claims = claims();
    claims[member] = value;
    judge(&P384.sign(Algorithm::Es384, None, &claims))
}

#[test]
fn the_algorithms_of_smart_and_their_siblings_are_accepted() {
    for (jwt, what) in [
        (RSA.sign(Algorithm::Rs256, Some("r"), &claims()), "RS256"),
        (RSA.sign(Algorithm::Rs384, Some("r"), &claims()), "RS384"),
        (P256.sign(Algorithm::Es256, Some("e"), &claims()), "ES256"),
        (P384.sign(Algorithm::Es384, Some("f"), &claims()), "ES384"),
    ] {
        let used = judge(&jwt).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(used.id, TokenHash::of("j1"));
        assert_eq!(used.expires_at.as_second(), NOW + 300);
    }
}

#[test]
fn issuer_and_subject_are_the_client_rfc_7523_3() {
    assert_eq!(with("iss", json!("other")), Err(AssertionError::WrongClient));
    assert_eq!(with("sub", json!("other")), Err(AssertionError::WrongClient));
}

#[test]
fn the_audience_is_this_server_and_no_other_rfc_7523_3() {
    for (audience, good) in [
        (json!("https://e.example/o/token/"), true),
        (json!("https://e.example/o"), true),
        (json!(["https://e.example/o"]), true),
        (json!(["https://e.example/o", "https://evil.example"]), false),
        (json!(["https://e.example/o", "https://e.example/o/token/"]), false),
        (json!([]), false),
        (json!("https://e.example/o/"), false),
        (json!("https://e.example"), false),
        (json!("https://evil.example/o/token/"), false),
        (json!("app"), false),
    ] {
        let expected = if good { None } else { Some(AssertionError::WrongAudience) };
        assert_eq!(with("aud", audience.clone()).err(), expected, "{audience}");
    }
}

#[test]
fn it_lives_five_minutes_at_most_smart_backend_services() {
    for (ahead, expected) in [
        (-1, Some(AssertionError::Expired)),
        (0, Some(AssertionError::Expired)),
        (1, None),
        (300, None),
        (330, None),
        (331, Some(AssertionError::TooLong)),
        (3600, Some(AssertionError::TooLong)),
    ] {
        assert_eq!(with("exp", json!(NOW + ahead)).err(), expected, "{ahead}");
    }
    for member in ["nbf", "iat"] {
        assert!(with(member, json!(NOW + 30)).is_ok());
        assert_eq!(with(member, json!(NOW + 31)), Err(AssertionError::NotYet), "{member}");
        assert!(with(member, json!(NOW - 100_000)).is_ok());
    }
    for out_of_range in [json!(i64::MAX), json!(i64::MIN), json!(1e300), json!("soon"), json!(null)] {
        assert_eq!(with("exp", out_of_range.clone()), Err(AssertionError::Malformed), "{out_of_range}");
    }
}

#[test]
fn every_claim_that_is_needed_is_there_rfc_7523_3() {
    for member in ["iss", "sub", "aud", "exp", "jti"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(member);
        assert_eq!(judge(&P384.sign(Algorithm::Es384, None, &claims)), Err(AssertionError::Malformed), "{member}");
    }
    assert_eq!(with("jti", json!("")), Err(AssertionError::Malformed));
    assert_eq!(with("jti", json!("j".repeat(crate::jws::MAX_ID + 1))), Err(AssertionError::Malformed));
}

#[test]
fn only_a_key_of_the_client_signs() {
    let stranger = crate::keys::tests::Pair::p384("f");
    let jwt = stranger.sign(Algorithm::Es384, Some("f"), &claims());
    assert_eq!(judge(&jwt), Err(AssertionError::WrongSignature));
    let good = P384.sign(Algorithm::Es384, Some("f"), &claims());
    let (message, _) = good.rsplit_once('.').unwrap();
    assert_eq!(judge(&format!("{message}.")), Err(AssertionError::WrongSignature));
}

fn raw(header: &str, claims: &str) -> String {
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

#[test]
fn no_signature_and_symmetric_ones_are_no_signature_rfc_8725_3_1() {
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"ES384","crit":["exp"],"exp":1}"#,
        r#"{"alg":"ES384","alg":"ES384"}"#,
        r#"{"alg":["ES384"]}"#,
        r#"{"kid":"f"}"#,
        "{}",
    ] {
        assert_eq!(judge(&raw(header, &claims().to_string())), Err(AssertionError::Malformed), "{header}");
    }
    let twice = claims().to_string().replacen('{', r#"{"sub":"other","#, 1);
    assert_eq!(judge(&raw(r#"{"alg":"ES384"}"#, &twice)), Err(AssertionError::Malformed));
}

#[test]
fn what_is_no_jwt_is_refused() {
    let long = "a".repeat(10_000);
    for text in ["", ".", "..", "a.b.c", "a.b.c.d", "!.!.!", long.as_str()] {
        assert_eq!(judge(text), Err(AssertionError::Malformed), "{text}");
    }
}

#[test]
fn debug_shows_nothing_of_it() {
    let assertion = Assertion::parse(&P384.sign(Algorithm::Es384, None, &claims())).unwrap();
    assert_eq!(format!("{assertion:?}"), "Assertion(..)");
}

proptest! {
    #[test]
    fn no_text_panics(text in ".*", header in ".*", claims in ".*") {
        let _ = judge(&text);
        let _ = judge(&raw(&header, &claims));
    }
}
