use proptest::prelude::*;

use super::*;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn parse(form: &str) -> Result<TokenRequest, ErrorCode> {
    TokenRequest::parse(None, &Params::from_form(form).unwrap()).map_err(|error| error.code)
}

fn code_form() -> String {
    format!("grant_type=authorization_code&code=c1&redirect_uri=https://a/cb&code_verifier={VERIFIER}&client_id=app")
}

#[test]
fn a_code_exchange_rfc_6749_4_1_3() {
    let request = parse(&code_form()).unwrap();
    assert_eq!(request.client.unwrap().client_id(), "app");
    let Grant::AuthorizationCode(exchange) = request.grant else { panic!("not a code") };
    assert_eq!(exchange.code.expose(), "c1");
    assert_eq!(exchange.redirect_uri, "https://a/cb");
    assert_eq!(exchange.verifier.challenge().as_str(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

#[test]
fn a_refresh_rfc_6749_6() {
    let request = parse("grant_type=refresh_token&refresh_token=r1&client_id=app&scope=openid").unwrap();
    let Grant::RefreshToken(exchange) = request.grant else { panic!("not a refresh") };
    assert_eq!(exchange.refresh_token.expose(), "r1");
    assert_eq!(exchange.scope.unwrap().to_string(), "openid");
}

#[test]
fn only_a_refresh_may_come_without_a_client_rfc_6749_6() {
    let refresh = "grant_type=refresh_token&refresh_token=r1";
    for (more, is_named) in [("", false), ("&client_id=", false), ("&client_id=app", true)] {
        assert_eq!(parse(&format!("{refresh}{more}")).unwrap().client.is_some(), is_named, "{more}");
    }
    // Who tries to prove something is held to it.
    for (more, expected) in [
        ("&client_secret=s", ErrorCode::InvalidClient),
        ("&client_assertion=a.b.c", ErrorCode::InvalidRequest),
        ("&client_id=app&client_id=app", ErrorCode::InvalidRequest),
    ] {
        assert_eq!(parse(&format!("{refresh}{more}")).unwrap_err(), expected, "{more}");
    }
    let params = Params::from_form(refresh).unwrap();
    assert_eq!(TokenRequest::parse(Some("Bearer x"), &params).unwrap_err().code, ErrorCode::InvalidClient);
}

#[test]
fn client_credentials_rfc_6749_4_4_2() {
    for (form, expected) in [("", None), ("&scope=openid+email", Some("openid email"))] {
        let request = parse(&format!("grant_type=client_credentials&client_id=app&client_secret=s{form}")).unwrap();
        let Grant::ClientCredentials(service) = request.grant else { panic!("not client credentials") };
        assert_eq!(service.scope.map(|scope| scope.to_string()).as_deref(), expected);
    }
}

#[test]
fn every_exchange_may_name_resources_rfc_8707_2_2() {
    let named = |form: &str| {
        parse(form).map(|request| match request.grant {
            Grant::AuthorizationCode(exchange) => exchange.audience,
            Grant::RefreshToken(exchange) => exchange.audience,
            Grant::ClientCredentials(service) => service.audience,
        })
    };
    let refresh = "grant_type=refresh_token&refresh_token=r1&client_id=app";
    for form in [code_form().as_str(), refresh, "grant_type=client_credentials&client_id=app"] {
        assert_eq!(named(form), Ok(Audience::default()));
        let both = named(&format!("{form}&resource=https://a.example&resource=https://b.example")).unwrap();
        assert_eq!(both.uris(), ["https://a.example", "https://b.example"]);
        assert_eq!(named(&format!("{form}&resource=/a")), Err(ErrorCode::InvalidTarget));
    }
}

#[test]
fn what_is_wrong_is_said_rfc_6749_5_2() {
    let code = code_form();
    let without = |name: &str| {
        let kept: Vec<&str> = code.split('&').filter(|pair| !pair.starts_with(name)).collect();
        kept.join("&")
    };
    for (form, expected) in [
        (String::new(), ErrorCode::InvalidRequest),
        (without("grant_type="), ErrorCode::InvalidRequest),
        (without("code="), ErrorCode::InvalidRequest),
        (without("redirect_uri="), ErrorCode::InvalidRequest),
        // RFC 9700 2.1.1: no code without PKCE.
        (without("code_verifier="), ErrorCode::InvalidRequest),
        (without("client_id="), ErrorCode::InvalidClient),
        (format!("{code}&code=c2"), ErrorCode::InvalidRequest),
        (format!("{code}&grant_type=refresh_token"), ErrorCode::InvalidRequest),
        (code.replace(VERIFIER, "short"), ErrorCode::InvalidGrant),
        ("grant_type=refresh_token&client_id=app".to_owned(), ErrorCode::InvalidRequest),
        ("grant_type=refresh_token&refresh_token=r&scope=%22&client_id=app".to_owned(), ErrorCode::InvalidScope),
        ("grant_type=client_credentials".to_owned(), ErrorCode::InvalidClient),
        ("grant_type=client_credentials&client_id=app&scope=%22".to_owned(), ErrorCode::InvalidScope),
        // RFC 9700 2.4: never the user's password.
        ("grant_type=password&client_id=app".to_owned(), ErrorCode::UnsupportedGrantType),
        ("grant_type=implicit&client_id=app".to_owned(), ErrorCode::UnsupportedGrantType),
        ("grant_type=Authorization_Code&client_id=app".to_owned(), ErrorCode::UnsupportedGrantType),
    ] {
        assert_eq!(parse(&form).unwrap_err(), expected, "{form}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", parse(&code_form()).unwrap());
    assert!(!shown.contains("c1") && !shown.contains(VERIFIER), "{shown}");
}

proptest! {
    #[test]
    fn no_input_panics(form in ".*", value in ".*") {
        let _ = parse(&form.chars().take(2000).collect::<String>());
        let pairs = [("grant_type", "authorization_code"), ("code", &value), ("code_verifier", &value)];
        let _ = TokenRequest::parse(Some(&value), &Params::from_pairs(pairs).unwrap());
    }
}
