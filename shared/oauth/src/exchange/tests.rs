use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::client::Credential;
use crate::keys::Algorithm;
use crate::keys::tests::{P256, P384, RSA, set};

const NOW: i64 = 1_000_000;
const ISSUER: &str = "https://ehr.example/oauth2";
const NAME: &str = "https://ehr.example/fhir/Practitioner/p1";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn keys() -> KeySet {
    set(&[RSA.public(), P256.public(), P384.public()])
}

fn written(more: &Value) -> String {
    let mut issuer = json!({ "issuer": ISSUER, "audience": "jhe", "jwksUri": "https://ehr.example/jwks" });
    for (name, value) in more.as_object().unwrap() {
        issuer[name] = value.clone();
    }
    json!([issuer]).to_string()
}

fn trusted(more: &Value) -> Vec<TrustedIssuer> {
    TrustedIssuer::list(&written(more)).unwrap()
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "sub": "s1", "aud": "jhe", "exp": NOW + 3600, "iat": NOW - 10, "nonce": "n",
            "fhirUser": NAME, "name": "Dr P", "score": 1.50 })
}

fn judge(jwt: &str, trusted: &[TrustedIssuer]) -> Result<Person, SubjectError> {
    let token = SubjectToken::parse(jwt)?;
    token.verify(token.issuer(trusted)?, &keys(), at(NOW))
}

fn signed(claims: &Value) -> String {
    P256.sign(Algorithm::Es256, None, claims)
}

fn with(member: &str, value: Value) -> Result<Person, SubjectError> {
    let mut claims = claims();
    claims[member] = value;
    judge(&signed(&claims), &trusted(&json!({})))
}

fn client(kind: ClientKind, grants: &[GrantType]) -> Client {
    Client {
        id: 1,
        client_id: "ehr-launch".to_owned(),
        name: String::new(),
        kind,
        redirect_uris: vec![],
        grant_types: grants.to_vec(),
        scopes: Scope::parse("openid user/Patient.rs offline_access").unwrap(),
        skip_authorization: false,
        resource_uri: None,
        whole_access: false,
        requires_pushed_requests: false,
    }
}

#[test]
fn a_token_of_the_provider_says_who_signed_in_there() {
    let person = judge(&signed(&claims()), &trusted(&json!({}))).unwrap();
    assert_eq!((person.name.as_str(), person.has_second_factor), (NAME, false));
    assert_eq!((person.issued_at, person.lapses_at), (at(NOW - 10), at(NOW + 290)));
    for (jwt, what) in [
        (RSA.sign(Algorithm::Rs256, Some("r"), &claims()), "RS256"),
        (RSA.sign(Algorithm::Rs384, Some("r"), &claims()), "RS384"),
        (P384.sign(Algorithm::Es384, Some("f"), &claims()), "ES384"),
    ] {
        assert!(judge(&jwt, &trusted(&json!({}))).is_ok(), "{what}");
    }
    let mut short = claims();
    short["exp"] = json!(NOW + 5);
    assert_eq!(judge(&signed(&short), &trusted(&json!({}))).unwrap().lapses_at, at(NOW + 5));
}

#[test]
fn it_is_of_a_provider_on_the_list_and_by_its_key_openid_connect_core_3_1_3_7() {
    for issuer in ["https://ehr.example/oauth2/", "https://evil.example", ""] {
        assert_eq!(with("iss", json!(issuer)), Err(SubjectError::UnknownIssuer), "{issuer}");
    }
    let other = crate::keys::tests::Pair::p256("e");
    let trusted = trusted(&json!({}));
    assert_eq!(judge(&other.sign(Algorithm::Es256, None, &claims()), &trusted), Err(SubjectError::WrongSignature));
    let unknown_key = P256.sign(Algorithm::Es256, Some("x"), &claims());
    assert_eq!(judge(&unknown_key, &trusted), Err(SubjectError::WrongSignature));
    let token = SubjectToken::parse(&signed(&claims())).unwrap();
    let another = TrustedIssuer { issuer: "https://other.example".to_owned(), ..trusted[0].clone() };
    assert_eq!(token.verify(&another, &keys(), at(NOW)), Err(SubjectError::UnknownIssuer));
}

#[test]
fn it_is_for_the_expected_audience_alone_openid_connect_core_3_1_3_7() {
    for (audience, good) in [
        (json!("jhe"), true),
        (json!(["jhe"]), true),
        (json!("other"), false),
        (json!(["jhe", "other"]), false),
        (json!([]), false),
        (json!(""), false),
    ] {
        let outcome = with("aud", audience.clone());
        assert_eq!(outcome.err(), (!good).then_some(SubjectError::WrongAudience), "{audience}");
    }
    assert!(with("azp", json!("jhe")).is_ok());
    assert_eq!(with("azp", json!("other")), Err(SubjectError::WrongAudience));
}

#[test]
fn it_counts_in_its_time_and_soon_openid_connect_core_3_1_3_7() {
    for (member, value, outcome) in [
        ("exp", NOW, Err(SubjectError::Expired)),
        ("exp", NOW + 1, Ok(())),
        ("iat", NOW - 299, Ok(())),
        ("iat", NOW - 300, Err(SubjectError::TooOld)),
        ("iat", NOW + 30, Ok(())),
        ("iat", NOW + 31, Err(SubjectError::NotYet)),
        ("nbf", NOW + 30, Ok(())),
        ("nbf", NOW + 31, Err(SubjectError::NotYet)),
        ("exp", i64::MAX, Err(SubjectError::Malformed)),
        ("iat", i64::MIN, Err(SubjectError::Malformed)),
    ] {
        assert_eq!(with(member, json!(value)).map(|_| ()), outcome, "{member} {value}");
    }
    let mut old = claims();
    old["iat"] = json!(NOW - 1000);
    assert!(judge(&signed(&old), &trusted(&json!({ "maxAgeSeconds": 1001 }))).is_ok());
    assert_eq!(judge(&signed(&old), &trusted(&json!({ "maxAgeSeconds": 1000 }))), Err(SubjectError::TooOld));
    for needed in ["iss", "aud", "exp", "iat"] {
        let mut less = claims();
        less.as_object_mut().unwrap().remove(needed);
        assert_eq!(judge(&signed(&less), &trusted(&json!({}))), Err(SubjectError::Malformed), "{needed}");
    }
}

#[test]
fn the_claim_that_names_the_person_is_set() {
    for (claim, named) in [("sub", Ok("s1")), ("name", Ok("Dr P")), ("nothing", Err(SubjectError::NoName))] {
        let person = judge(&signed(&claims()), &trusted(&json!({ "claim": claim })));
        assert_eq!(person.map(|person| person.name), named.map(str::to_owned), "{claim}");
    }
    for bad in [json!(5), json!(""), json!("a\0"), json!(null), json!("x".repeat(MAX_NAME + 1))] {
        assert_eq!(with("fhirUser", bad.clone()), Err(SubjectError::NoName), "{bad}");
    }
}

#[test]
fn a_second_factor_is_what_the_token_says_rfc_8176() {
    let known = json!({ "secondFactor": ["urn:ehr:strong", "otp"] });
    for (more, plain, set) in [
        (json!({ "amr": ["pwd"] }), false, false),
        (json!({ "amr": ["pwd", "mfa"] }), true, true),
        (json!({ "amr": ["pwd", "otp"] }), false, true),
        (json!({ "acr": "urn:ehr:strong" }), false, true),
        (json!({ "acr": "1" }), false, false),
        (json!({}), false, false),
    ] {
        let mut claims = claims();
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let proved = |settings: &Value| judge(&signed(&claims), &trusted(settings)).unwrap().has_second_factor;
        assert_eq!((proved(&json!({})), proved(&known)), (plain, set), "{more}");
    }
}

#[test]
fn a_token_is_known_again_whatever_its_signature() {
    let id = |claims: &Value| judge(&signed(claims), &trusted(&json!({}))).unwrap().id;
    // ECDSA signs the same differently each time.
    assert_eq!(id(&claims()), id(&claims()));
    let mut other = claims();
    other["iat"] = json!(NOW - 9);
    assert_ne!(id(&claims()), id(&other));
    let (mut first, mut second) = (claims(), other);
    first["jti"] = json!("j1");
    second["jti"] = json!("j1");
    assert_eq!(id(&first), id(&second));
    assert_ne!(id(&first), id(&claims()));
}

#[test]
fn what_is_no_id_token_is_none_rfc_8725_3_11() {
    let under = |header: &Value| SubjectToken::parse(&P256.sign_under(header, Algorithm::Es256, &claims())).map(|_| ());
    assert_eq!(under(&json!({ "alg": "ES256", "typ": "JWT" })), Ok(()));
    assert_eq!(under(&json!({ "alg": "ES256", "typ": "jwt" })), Ok(()));
    for header in [
        json!({ "alg": "ES256", "typ": "at+jwt" }),
        json!({ "alg": "ES256", "typ": "dpop+jwt" }),
        json!({ "alg": "none" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "ES256", "crit": ["exp"] }),
        json!({ "alg": "ES256", "kid": "" }),
    ] {
        assert_eq!(under(&header), Err(SubjectError::Malformed), "{header}");
    }
    let mut no_id = claims();
    no_id["jti"] = json!("");
    assert_eq!(judge(&signed(&no_id), &trusted(&json!({}))), Err(SubjectError::Malformed));
    let twice = r#"{"iss":"a","iss":"b","aud":"jhe","exp":1,"iat":1}"#;
    let jwt = format!(
        "eyJhbGciOiJFUzI1NiJ9.{}.x",
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, twice)
    );
    assert_eq!(SubjectToken::parse(&jwt).err(), Some(SubjectError::Malformed));
}

#[test]
fn a_request_names_what_it_exchanges_rfc_8693_2_1() {
    let jwt = signed(&claims());
    let good = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={jwt}&client_id=ehr-launch&client_secret=s\
         &subject_token_type={}&requested_token_type={ACCESS_TOKEN}&audience=https://e.example&scope=openid",
        SUBJECT_TYPES[0]
    );
    let parse =
        |form: &str| ExchangeRequest::parse(None, &Params::from_form(form).unwrap()).map_err(|error| error.code);
    let request = parse(&good).unwrap();
    assert_eq!(
        (request.client.client_id(), request.audience.uris()),
        ("ehr-launch", &["https://e.example".to_owned()][..])
    );
    assert!(parse(&good.replace(SUBJECT_TYPES[0], SUBJECT_TYPES[1])).is_ok());
    assert!(parse(&good.replace(&format!("&requested_token_type={ACCESS_TOKEN}"), "")).is_ok());
    for (from, to, code) in [
        (
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange",
            "grant_type=refresh_token",
            ErrorCode::UnsupportedGrantType,
        ),
        ("grant_type=", "x=", ErrorCode::InvalidRequest),
        ("&subject_token=", "&x=", ErrorCode::InvalidRequest),
        (jwt.as_str(), "abc", ErrorCode::InvalidRequest),
        (":id_token", ":access_token", ErrorCode::InvalidRequest),
        (":id_token", ":saml2", ErrorCode::InvalidRequest),
        (
            "requested_token_type=urn:ietf:params:oauth:token-type:access_token",
            "requested_token_type=x",
            ErrorCode::InvalidRequest,
        ),
        ("&scope=openid", "&scope=a%22", ErrorCode::InvalidScope),
        ("&scope=openid", "&actor_token=x", ErrorCode::InvalidRequest),
        ("audience=https://e.example", "audience=jhe", ErrorCode::InvalidTarget),
        ("client_id=ehr-launch", "x=y", ErrorCode::InvalidClient),
    ] {
        assert_eq!(parse(&good.replace(from, to)).err(), Some(code), "{from} {to}");
    }
}

#[test]
fn only_a_confidential_client_that_is_registered_for_it_exchanges_and_gets_no_more_than_its_scope() {
    let confidential = || ClientKind::Confidential(Credential::SecretBasic(TokenHash::of("s")));
    let asked = |text: &str| Scope::parse(text).unwrap();
    let good = client(confidential(), &[GrantType::TokenExchange]);
    for (text, granted) in [
        ("openid", Ok("openid")),
        ("openid offline_access user/Patient.r user/*.cruds", Ok("openid user/Patient.r")),
        ("offline_access", Err(GrantError::NoScope)),
        ("email", Err(GrantError::NoScope)),
    ] {
        assert_eq!(
            scope(&good, Some(&asked(text))).map(|scope| scope.to_string()),
            granted.map(str::to_owned),
            "{text}"
        );
    }
    assert_eq!(scope(&good, None).unwrap().to_string(), "openid user/Patient.rs");
    for other in [
        client(ClientKind::Public, &[GrantType::TokenExchange]),
        client(confidential(), &[GrantType::AuthorizationCode]),
    ] {
        assert_eq!(scope(&other, None), Err(GrantError::NotRegistered));
    }
}

#[test]
fn a_list_of_providers_is_right_or_refused() {
    assert!(TrustedIssuer::list("[]").unwrap().is_empty());
    let by_value = json!({ "jwksUri": null, "jwks": { "keys": [P256.public()] } });
    assert!(matches!(trusted(&by_value)[0].keys, KeySource::Value(_)));
    assert!(matches!(&trusted(&json!({}))[0].keys, KeySource::Url(url) if url == "https://ehr.example/jwks"));
    for bad in [
        json!({ "issuer": "http://ehr.example" }),
        json!({ "audience": "" }),
        json!({ "jwksUri": "http://ehr.example/jwks" }),
        json!({ "jwksUri": "https://10.0.0.1/jwks" }),
        json!({ "jwksUri": null }),
        json!({ "jwks": { "keys": [P256.public()] } }),
        json!({ "jwksUri": null, "jwks": { "keys": [] } }),
        json!({ "maxAgeSeconds": 0 }),
        json!({ "maxAgeSeconds": 3601 }),
        json!({ "jwks_uri": "x" }),
    ] {
        assert!(TrustedIssuer::list(&written(&bad)).is_err(), "{bad}");
    }
    let one = written(&json!({}));
    let inner = one.trim_start_matches('[').trim_end_matches(']');
    assert!(TrustedIssuer::list(&format!("[{inner},{inner}]")).is_err(), "an issuer twice");
    assert!(TrustedIssuer::list("{}").is_err());
}

proptest! {
    #[test]
    fn no_input_panics(text in ".*") {
        let _ = SubjectToken::parse(&text);
        let _ = TrustedIssuer::list(&text);
    }
}
