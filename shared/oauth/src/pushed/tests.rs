use super::*;
use crate::authorize::{Authorization, AuthorizeRequest, NextStep, PageError, Session};
use crate::client::{Client, ClientKind, GrantType};
use crate::scope::Scope;
use crate::token::TokenHash;

const SITE: &str = "https://e.example";
const KEY: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
const OTHER_KEY: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const FORM: &str = "response_type=code&redirect_uri=https%3A%2F%2Fa.example%2Fcb&scope=openid&state=xyz\
                    &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

fn client() -> Client {
    Client {
        id: 1,
        client_id: "app".to_owned(),
        name: String::new(),
        kind: ClientKind::Public,
        redirect_uris: vec!["https://a.example/cb".to_owned()],
        grant_types: vec![GrantType::AuthorizationCode],
        scopes: Scope::parse("openid").unwrap(),
        skip_authorization: true,
        resource_uri: None,
        whole_access: false,
        requires_pushed_requests: true,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn push(form: &str, proof: Option<&Proof>) -> Result<Authorization, OAuthError> {
    let request = AuthorizeRequest::pushing(&Params::from_form(form).unwrap(), &client(), proof)?;
    let addressed = request.for_client(&client()).map_err(|_| OAuthError::invalid_request("page"))?;
    addressed.validate(&client()).map_err(|refusal| refusal.error)
}

/// The request of a browser that brings this query, when `parameters` were pushed and first opened at second 100.
fn bring(query: &str, parameters: &str) -> Result<Authorization, PageError> {
    let request = AuthorizeRequest::parse(form_urlencoded::parse(query.as_bytes()).into_owned())?;
    let request = request.resolve(&Pushed { parameters: parameters.to_owned(), opened_at: at(100) })?;
    Ok(request.for_client(&client())?.validate(&client()).ok().unwrap())
}

fn brought(secret: &str) -> String {
    format!("client_id=app&request_uri={PREFIX}{secret}")
}

#[test]
fn a_reference_is_a_urn_with_a_secret_rfc_9126_2_2() {
    let secret = Secret::generate().unwrap();
    let uri = request_uri(&secret);
    assert!(uri.starts_with("urn:ietf:params:oauth:request_uri:"));
    assert_eq!(reference(&uri).unwrap().hash(), secret.hash());
    for other in ["https://a.example/r", "urn:ietf:params:oauth:request_uri:", "", "urn:other:x", &"x".repeat(500)] {
        assert!(reference(other).is_none(), "{other}");
    }
}

#[test]
fn what_is_pushed_comes_back_whole_and_names_its_client_rfc_9126_4() {
    let form = format!("{FORM}&client_secret=s&client_assertion=a&unknown=x&prompt=consent");
    let parameters = push(&form, None).ok().unwrap().parameters();
    for secret in ["client_secret", "client_assertion", "unknown"] {
        assert!(!parameters.contains(secret), "{parameters}");
    }
    let authorization = bring(&brought("r"), &parameters).ok().unwrap();
    assert_eq!(authorization.return_to.with_code("c", "i"), "https://a.example/cb?code=c&state=xyz&iss=i");
    assert_eq!(authorization.query_after_login(), brought("r").replace(':', "%3A"));
}

#[test]
fn parameters_beside_the_reference_do_not_count_rfc_9101_5() {
    let parameters = push(FORM, None).ok().unwrap().parameters();
    let query = format!("{}&scope=profile&state=evil&redirect_uri=https%3A%2F%2Fevil.example", brought("r"));
    let authorization = bring(&query, &parameters).ok().unwrap();
    assert_eq!(authorization.return_to.with_code("c", "i"), "https://a.example/cb?code=c&state=xyz&iss=i");
    assert_eq!(authorization.scope.to_string(), "openid");
}

#[test]
fn a_reference_is_its_clients_alone_rfc_9126_2_2() {
    let parameters = push(FORM, None).ok().unwrap().parameters();
    let query = brought("r").replace("client_id=app", "client_id=other");
    assert_eq!(bring(&query, &parameters).err(), Some(PageError::UnknownReference));
    let twice = format!("{}&request_uri={PREFIX}s", brought("r"));
    let request = AuthorizeRequest::parse(form_urlencoded::parse(twice.as_bytes()).into_owned()).ok().unwrap();
    assert!(request.reference().is_none(), "of two references none counts");
}

#[test]
fn a_pushed_request_is_judged_at_once_rfc_9126_2_1() {
    for (more, code) in [
        ("&request_uri=urn:ietf:params:oauth:request_uri:r", ErrorCode::InvalidRequest),
        ("&request=eyJ", ErrorCode::RequestNotSupported),
        ("&state=a", ErrorCode::InvalidRequest),
        ("&prompt=create", ErrorCode::InvalidRequest),
    ] {
        assert_eq!(push(&format!("{FORM}{more}"), None).err().unwrap().code, code, "{more}");
    }
}

#[test]
fn a_client_that_has_to_push_is_not_heard_otherwise_rfc_9126_6() {
    let pairs = || form_urlencoded::parse(FORM.as_bytes()).into_owned();
    let named = || pairs().chain([("client_id".to_owned(), "app".to_owned())]);
    let validate = |client: &Client| {
        let addressed = AuthorizeRequest::parse(named()).ok().unwrap().for_client(client).ok().unwrap();
        addressed.validate(client).map_err(|refusal| refusal.error.code)
    };
    assert_eq!(validate(&client()).err(), Some(ErrorCode::InvalidRequest));
    assert!(validate(&Client { requires_pushed_requests: false, ..client() }).is_ok());
}

#[test]
fn a_proof_binds_the_code_rfc_9449_10_1() {
    let proof = Proof { key: Thumbprint::parse(KEY).unwrap(), id: TokenHash::of("j"), expires_at: at(0) };
    let key = |form: &str| push(form, Some(&proof)).map(|one| one.key.map(|key| key.as_str().to_owned()));
    assert_eq!(key(FORM), Ok(Some(KEY.to_owned())));
    assert_eq!(key(&format!("{FORM}&dpop_jkt={KEY}")), Ok(Some(KEY.to_owned())));
    assert_eq!(key(&format!("{FORM}&dpop_jkt={OTHER_KEY}")).unwrap_err().code, ErrorCode::InvalidDpopProof);
    let named = push(&format!("{FORM}&dpop_jkt={OTHER_KEY}"), None).ok().unwrap();
    assert_eq!(named.key.unwrap().as_str(), OTHER_KEY);
}

#[test]
fn who_signs_in_for_the_request_signs_in_once() {
    // A login that was fresh when the request was opened is fresh.
    for (prompt, before) in [
        ("&prompt=login", NextStep::LogIn),
        ("&max_age=0", NextStep::LogIn),
        ("&max_age=1", NextStep::LogIn),
        ("&max_age=2", NextStep::IssueCode),
    ] {
        let parameters = push(&format!("{FORM}{prompt}"), None).ok().unwrap().parameters();
        let authorization = bring(&brought("r"), &parameters).ok().unwrap();
        for (auth_time, step) in
            [(98, NextStep::LogIn), (99, before), (100, NextStep::IssueCode), (150, NextStep::IssueCode)]
        {
            let session = Session { auth_time: at(auth_time), has_consented: false, could_be_stronger: false };
            let next = authorization.next_step(&client(), SITE, Some(&session), at(200));
            assert_eq!(next, Ok(step), "{prompt} {auth_time}");
        }
    }
}
