use proptest::prelude::*;

use super::parameters::{MAX_NONCE, MAX_STATE};
use super::*;
use crate::authentication::Acr;
use crate::client::ClientKind;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const URI: &str = "https://a.example/cb";
const ISSUER: &str = "https://e.example/o";
const SITE: &str = "https://e.example";

/// A request that is right.
const GOOD: [(&str, &str); 8] = [
    ("response_type", "code"),
    ("client_id", "app"),
    ("redirect_uri", URI),
    ("scope", "openid email"),
    ("state", "xyz"),
    ("nonce", "n1"),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
];

fn client() -> Client {
    Client {
        id: 1,
        client_id: "app".to_owned(),
        name: "CareX".to_owned(),
        kind: ClientKind::Public,
        redirect_uris: vec![URI.to_owned(), "http://127.0.0.1/cb".to_owned()],
        grant_types: vec![GrantType::AuthorizationCode],
        scopes: Scope::parse("openid email offline_access").unwrap(),
        skip_authorization: true,
        resource_uri: None,
        whole_access: false,
        requires_pushed_requests: false,
    }
}

/// The right request with one parameter replaced, or removed when empty, or added.
fn with(name: &str, value: &str) -> Vec<(String, String)> {
    let kept = GOOD.iter().filter(|(n, _)| *n != name).copied();
    let changed = std::iter::once((name, value)).filter(|(_, value)| !value.is_empty());
    kept.chain(changed).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

fn addressed(pairs: Vec<(String, String)>) -> Result<Addressed, PageError> {
    AuthorizeRequest::parse(pairs)?.for_client(&client())
}

fn validate(name: &str, value: &str) -> Result<Authorization, Refusal> {
    addressed(with(name, value)).unwrap().validate(&client())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn session(auth_time: i64, has_consented: bool) -> Session {
    Session { auth_time: at(auth_time), has_consented, could_be_stronger: false }
}

#[test]
fn a_right_request_is_taken_rfc_6749_4_1_1() {
    let request = AuthorizeRequest::parse(GOOD).unwrap();
    assert_eq!(request.client_id(), "app");
    let authorization = request.for_client(&client()).unwrap().validate(&client()).ok().unwrap();
    assert_eq!(authorization.scope.to_string(), "openid email");
    assert_eq!(authorization.nonce.as_deref(), Some("n1"));
    assert_eq!(authorization.challenge.as_str(), CHALLENGE);
    assert_eq!(authorization.return_to.redirect_uri(), URI);
    assert_eq!(
        authorization.return_to.with_code("c1", ISSUER),
        "https://a.example/cb?code=c1&state=xyz&iss=https%3A%2F%2Fe.example%2Fo"
    );
}

#[test]
fn errors_about_client_and_redirect_uri_never_redirect_rfc_6749_4_1_2_1() {
    let twice = |name: &str, value: &str| {
        let mut pairs = with("", "");
        pairs.push((name.to_owned(), value.to_owned()));
        pairs
    };
    for (pairs, expected) in [
        (with("client_id", ""), PageError::NoClient),
        (with("client_id", "other"), PageError::UnknownClient),
        (twice("client_id", "app"), PageError::NoClient),
        (with("redirect_uri", ""), PageError::NoRedirectUri),
        (twice("redirect_uri", "https://evil.example/cb"), PageError::NoRedirectUri),
        (with("redirect_uri", "https://evil.example/cb"), PageError::UnknownRedirectUri),
        (with("redirect_uri", "https://a.example/cb?x"), PageError::UnknownRedirectUri),
        (with("state", &"x".repeat(100_000)), PageError::TooLarge),
    ] {
        assert_eq!(addressed(pairs).err(), Some(expected));
    }
}

#[test]
fn the_loopback_port_is_free_and_kept_rfc_8252_7_3() {
    let authorization = validate("redirect_uri", "http://127.0.0.1:5555/cb").ok().unwrap();
    assert_eq!(authorization.return_to.redirect_uri(), "http://127.0.0.1:5555/cb");
}

#[test]
fn other_errors_redirect_rfc_6749_4_1_2_1() {
    let long = "a".repeat(MAX_NONCE + 1);
    for (name, value, expected) in [
        ("response_type", "", ErrorCode::InvalidRequest),
        // RFC 9700 2.1.2: no token in a URL.
        ("response_type", "token", ErrorCode::UnsupportedResponseType),
        ("response_type", "code id_token", ErrorCode::UnsupportedResponseType),
        ("response_mode", "fragment", ErrorCode::InvalidRequest),
        // RFC 9700 2.1.1: PKCE for every client.
        ("code_challenge", "", ErrorCode::InvalidRequest),
        ("code_challenge", "short", ErrorCode::InvalidRequest),
        // RFC 7636 4.3: without a method it would be plain.
        ("code_challenge_method", "", ErrorCode::InvalidRequest),
        ("code_challenge_method", "plain", ErrorCode::InvalidRequest),
        ("code_challenge_method", "s256", ErrorCode::InvalidRequest),
        ("scope", "admin", ErrorCode::InvalidScope),
        ("scope", "openid  email", ErrorCode::InvalidScope),
        ("resource", "/FHIR/R5", ErrorCode::InvalidTarget),
        ("nonce", &long, ErrorCode::InvalidRequest),
        ("nonce", "a\nb", ErrorCode::InvalidRequest),
        ("prompt", "none login", ErrorCode::InvalidRequest),
        ("prompt", "create", ErrorCode::InvalidRequest),
        ("max_age", "-1", ErrorCode::InvalidRequest),
        ("max_age", "soon", ErrorCode::InvalidRequest),
        ("request", "eyJ", ErrorCode::RequestNotSupported),
        ("request_uri", "https://a.example/r", ErrorCode::RequestUriNotSupported),
    ] {
        let refusal = validate(name, value).err().unwrap();
        assert_eq!(refusal.error.code, expected, "{name}={value}");
        let location = refusal.location(ISSUER);
        let start = format!("{URI}?error={}&error_description=", expected.as_str());
        assert!(location.starts_with(&start), "{location}");
        assert!(location.ends_with("&state=xyz&iss=https%3A%2F%2Fe.example%2Fo"), "{location}");
    }
}

#[test]
fn a_repeated_parameter_is_refused_rfc_6749_3_1() {
    for name in KNOWN.iter().filter(|name| !["client_id", "redirect_uri", "resource"].contains(name)) {
        let mut pairs = with(name, "code");
        pairs.push(((*name).to_owned(), "code".to_owned()));
        let refusal = addressed(pairs).unwrap().validate(&client()).err().unwrap();
        assert_eq!(refusal.error, OAuthError::invalid_request("A parameter is repeated."), "{name}");
        assert_eq!(refusal.location(ISSUER).contains("state="), *name != "state", "{name}");
    }
    let mut pairs = with("unknown", "a");
    pairs.push(("unknown".to_owned(), "b".to_owned()));
    assert!(addressed(pairs).unwrap().validate(&client()).is_ok(), "an unknown parameter is ignored");
    let mut pairs = with("resource", "https://a.example");
    pairs.push(("resource".to_owned(), "https://b.example".to_owned()));
    let authorization = addressed(pairs).unwrap().validate(&client()).ok().unwrap();
    assert_eq!(authorization.audience.uris(), ["https://a.example", "https://b.example"], "RFC 8707 2");
    assert_eq!(authorization.query_after_login().matches("resource=").count(), 2);
}

#[test]
fn a_malformed_state_is_refused_and_not_echoed() {
    for state in ["a\r\nb", "\u{e9}", &"x".repeat(MAX_STATE + 1)] {
        let refusal = validate("state", state).err().unwrap();
        assert_eq!(refusal.error.code, ErrorCode::InvalidRequest);
        assert!(!refusal.location(ISSUER).contains("state="));
    }
    assert!(validate("state", &"x".repeat(MAX_STATE)).is_ok());
}

#[test]
fn a_client_without_the_grant_is_refused() {
    let mut other = client();
    other.grant_types = vec![GrantType::ClientCredentials];
    let refusal = addressed(with("", "")).unwrap().validate(&other).err().unwrap();
    assert_eq!(refusal.error.code, ErrorCode::UnauthorizedClient);
}

#[test]
fn the_scope_is_cut_to_what_the_client_may_have_rfc_6749_3_3() {
    for (asked, granted) in
        [("openid", "openid"), ("admin openid profile", "openid"), ("", "openid email offline_access")]
    {
        assert_eq!(validate("scope", asked).ok().unwrap().scope.to_string(), granted, "{asked}");
    }
}

#[test]
fn the_user_logs_in_then_agrees_then_a_code_is_issued() {
    let mut asking = client();
    asking.skip_authorization = false;
    let authorization = validate("", "").ok().unwrap();
    for (client, session, expected) in [
        (client(), None, NextStep::LogIn),
        (client(), Some(session(0, false)), NextStep::IssueCode),
        (asking.clone(), None, NextStep::LogIn),
        (asking.clone(), Some(session(0, false)), NextStep::AskConsent),
        (asking, Some(session(0, true)), NextStep::IssueCode),
    ] {
        assert_eq!(authorization.next_step(&client, SITE, session.as_ref(), at(100)), Ok(expected));
    }
}

#[test]
fn the_user_is_always_asked_when_any_app_could_get_the_answer_rfc_8252_8_6() {
    for (uri, site, expected) in [
        ("http://127.0.0.1:5555/cb", SITE, NextStep::AskConsent),
        ("http://127.0.0.1:5555/cb", "http://localhost:8000", NextStep::IssueCode),
        (URI, SITE, NextStep::IssueCode),
    ] {
        let authorization = validate("redirect_uri", uri).ok().unwrap();
        let step = authorization.next_step(&client(), site, Some(&session(0, false)), at(100));
        assert_eq!(step, Ok(expected), "{uri} {site}");
    }
}

#[test]
fn prompt_none_shows_nothing_openid_connect_3_1_2_1() {
    let mut asking = client();
    asking.skip_authorization = false;
    let authorization = validate("prompt", "none").ok().unwrap();
    let step = |client: &Client, session: Option<Session>| {
        authorization.next_step(client, SITE, session.as_ref(), at(100)).map_err(|refusal| refusal.error.code)
    };
    assert_eq!(step(&client(), None), Err(ErrorCode::LoginRequired));
    assert_eq!(step(&client(), Some(session(0, false))), Ok(NextStep::IssueCode));
    assert_eq!(step(&asking, Some(session(0, false))), Err(ErrorCode::ConsentRequired));
    assert_eq!(step(&asking, Some(session(0, true))), Ok(NextStep::IssueCode));
}

#[test]
fn prompt_asks_again_once_openid_connect_3_1_2_1() {
    let known = session(99, true);
    for (prompt, first, second) in [
        ("login", NextStep::LogIn, NextStep::IssueCode),
        ("consent", NextStep::AskConsent, NextStep::AskConsent),
        ("login consent", NextStep::LogIn, NextStep::AskConsent),
        ("consent login", NextStep::LogIn, NextStep::AskConsent),
    ] {
        let authorization = validate("prompt", prompt).ok().unwrap();
        assert_eq!(authorization.next_step(&client(), SITE, Some(&known), at(100)), Ok(first), "{prompt}");
        let query = authorization.query_after_login();
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let again = addressed(pairs).unwrap().validate(&client()).ok().unwrap();
        assert_eq!(again.next_step(&client(), SITE, Some(&known), at(100)), Ok(second), "{prompt}");
        assert_eq!(again.return_to, authorization.return_to);
        assert_eq!(again.nonce, authorization.nonce);
    }
}

#[test]
fn an_old_login_is_renewed_openid_connect_3_1_2_1() {
    for (max_age, auth_time, expected) in [
        ("60", 41, NextStep::IssueCode),
        ("60", 40, NextStep::LogIn),
        ("0", 100, NextStep::LogIn),
        ("4294967295", 0, NextStep::IssueCode),
    ] {
        let authorization = validate("max_age", max_age).ok().unwrap();
        let step = authorization.next_step(&client(), SITE, Some(&session(auth_time, true)), at(100));
        assert_eq!(step, Ok(expected), "{max_age} {auth_time}");
        assert_eq!(authorization.query_after_login().contains("max_age"), max_age != "0");
        assert_eq!(authorization.depends_on_time(), max_age != "0");
    }
}

#[test]
fn a_login_is_as_old_as_it_was_when_the_request_was_opened() {
    // Opened at 100, with at most five seconds; asked again at 160.
    for (auth_time, now, expected) in [
        (96, 160, NextStep::IssueCode),
        (95, 160, NextStep::LogIn),
        (100, 160, NextStep::IssueCode),
        (130, 160, NextStep::IssueCode),
        // A quarter of an hour later it is as if it were opened then.
        (96, 1000, NextStep::LogIn),
        // What is not opened yet is not opened.
        (96, 99, NextStep::IssueCode),
        (93, 99, NextStep::LogIn),
    ] {
        let mut authorization = validate("max_age", "5").ok().unwrap();
        assert_eq!(authorization.opened(at(100), at(now)), (100..1000).contains(&now));
        assert_eq!(authorization.opened_at().is_some(), (100..1000).contains(&now));
        let step = authorization.next_step(&client(), SITE, Some(&session(auth_time, true)), at(now));
        assert_eq!(step, Ok(expected), "{auth_time} {now}");
    }
    let mut again = validate("prompt", "login").ok().unwrap();
    assert!(again.opened(at(100), at(160)));
    let step = again.next_step(&client(), SITE, Some(&session(99, true)), at(160));
    assert_eq!(step, Ok(NextStep::LogIn), "who is asked to log in does so since");
}

#[test]
fn two_factors_are_asked_of_who_has_them_openid_connect_5_5_1_1() {
    let (one, two) = (Acr::OneFactor.as_str(), Acr::TwoFactors.as_str());
    let both = |first: &str, second: &str| format!("{first} {second}");
    let weak = Session { could_be_stronger: true, ..session(99, true) };
    for (values, expected) in [
        (two.to_owned(), NextStep::LogIn),
        (both(two, one), NextStep::LogIn),
        (both("urn:other", two), NextStep::LogIn),
        // In order of preference.
        (both(one, two), NextStep::IssueCode),
        (one.to_owned(), NextStep::IssueCode),
        ("urn:other".to_owned(), NextStep::IssueCode),
        (String::new(), NextStep::IssueCode),
    ] {
        let authorization = validate("acr_values", &values).ok().unwrap();
        let step = |session| authorization.next_step(&client(), SITE, Some(&session), at(100)).ok();
        assert_eq!(step(weak), Some(expected), "{values}");
        assert_eq!(step(session(99, true)), Some(NextStep::IssueCode), "who has no second factor is not asked");
        assert_eq!(authorization.query_after_login().contains("acr_values"), !values.is_empty());
    }
    let mut pairs = with("acr_values", two);
    pairs.push(("prompt".to_owned(), "none".to_owned()));
    let silent = addressed(pairs).unwrap().validate(&client()).ok().unwrap();
    assert_eq!(
        silent.next_step(&client(), SITE, Some(&weak), at(100)).ok(),
        Some(NextStep::IssueCode),
        "nobody can be asked"
    );
}

#[test]
fn a_user_may_say_no_rfc_6749_4_1_2_1() {
    let location = validate("", "").ok().unwrap().denied().location(ISSUER);
    assert!(location.starts_with("https://a.example/cb?error=access_denied&"), "{location}");
}

proptest! {
    #[test]
    fn no_input_panics_or_leaves_the_registered_uri(
        name in proptest::sample::select(&KNOWN[..]), value in ".{0,60}",
    ) {
        if let Ok(request) = addressed(with(name, &value)) {
            let location = match request.validate(&client()) {
                Ok(authorization) => authorization.return_to.with_code("c", ISSUER),
                Err(refusal) => refusal.location(ISSUER),
            };
            prop_assert!(location.starts_with(URI) || location.starts_with("http://127.0.0.1"));
            prop_assert!(location.bytes().all(|b| b.is_ascii_graphic()));
        }
    }
}
