use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::client::{ClientKind, Credential};
use crate::pkce::Verifier;
use crate::token::{Secret, TokenHash};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const OTHER_VERIFIER: &str = "eBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const URI: &str = "https://a.example/cb";
const SITE: &str = "https://e.example";
const API: &str = "https://api.example";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The terms at a second.
fn terms(second: i64) -> Terms<'static> {
    static LIFETIMES: LazyLock<Lifetimes> = LazyLock::new(Lifetimes::default);
    Terms { now: at(second), lifetimes: &LIFETIMES, site_url: SITE }
}

fn audience(uris: &[&str]) -> Audience {
    Audience::of(uris.iter().map(|uri| (*uri).to_owned()).collect())
}

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

fn client() -> Client {
    Client {
        id: 7,
        client_id: "app".to_owned(),
        name: "CareX".to_owned(),
        kind: ClientKind::Public,
        redirect_uris: vec![URI.to_owned()],
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        scopes: scope("openid email"),
        skip_authorization: true,
        resource_uri: None,
        whole_access: false,
        requires_pushed_requests: false,
    }
}

/// A code issued at second 1000 for 60 seconds.
fn code() -> CodeRecord {
    CodeRecord {
        client: 7,
        user: 10002,
        redirect_uri: URI.to_owned(),
        challenge: Verifier::parse(VERIFIER).unwrap().challenge(),
        scope: scope("openid email"),
        audience: Audience::default(),
        nonce: Some("n1".to_owned()),
        key: None,
        auth_time: at(900),
        expires_at: at(1060),
        used_at: None,
        revoked_at: None,
    }
}

fn exchange() -> CodeExchange {
    CodeExchange {
        code: Secret::presented("c1"),
        redirect_uri: URI.to_owned(),
        verifier: Verifier::parse(VERIFIER).unwrap(),
        audience: Audience::default(),
    }
}

fn refresh() -> RefreshRecord {
    RefreshRecord {
        client: 7,
        user: 10002,
        scope: scope("openid email"),
        audience: Audience::default(),
        auth_time: at(900),
        expires_at: at(2000),
        key: None,
        rotated_at: None,
        revoked_at: None,
    }
}

fn refresh_for(text: Option<&str>) -> RefreshExchange {
    RefreshExchange { refresh_token: Secret::presented("r1"), scope: text.map(scope), audience: Audience::default() }
}

#[test]
fn a_code_is_worth_what_was_agreed() {
    let granted = redeem_code(&code(), &exchange(), &client(), None, &terms(1059)).unwrap();
    assert_eq!(granted.user, 10002);
    assert_eq!(granted.scope.to_string(), "openid email");
    assert_eq!(granted.refresh_scope, Some(scope("openid email")));
    assert_eq!(granted.nonce.as_deref(), Some("n1"));
    assert_eq!(granted.auth_time, at(900));
}

#[test]
fn a_client_without_the_refresh_grant_gets_no_refresh_token() {
    let mut client = client();
    client.grant_types = vec![GrantType::AuthorizationCode];
    assert_eq!(redeem_code(&code(), &exchange(), &client, None, &terms(1001)).unwrap().refresh_scope, None);
}

#[test]
fn a_code_expires_rfc_6749_4_1_2() {
    assert!(redeem_code(&code(), &exchange(), &client(), None, &terms(1059)).is_ok());
    for now in [1060, 1061, 9999] {
        let error = redeem_code(&code(), &exchange(), &client(), None, &terms(now)).unwrap_err();
        assert_eq!(error, GrantError::Expired);
        assert!(!error.revokes_family());
    }
}

#[test]
fn a_code_used_twice_revokes_its_tokens_rfc_6749_4_1_2() {
    let used = CodeRecord { used_at: Some(at(1010)), ..code() };
    for (verifier, now) in [(VERIFIER, 1011), (VERIFIER, 9999), (OTHER_VERIFIER, 1011)] {
        let request = CodeExchange { verifier: Verifier::parse(verifier).unwrap(), ..exchange() };
        let error = redeem_code(&used, &request, &client(), None, &terms(now)).unwrap_err();
        assert_eq!(error, GrantError::Replay);
        assert!(error.revokes_family());
    }
}

#[test]
fn a_code_of_an_authorization_that_was_ended_is_worth_nothing() {
    let ended = CodeRecord { revoked_at: Some(at(1001)), ..code() };
    assert_eq!(redeem_code(&ended, &exchange(), &client(), None, &terms(1002)), Err(GrantError::Revoked));
    // A replay is noticed all the same.
    let used = CodeRecord { used_at: Some(at(1001)), ..ended };
    assert_eq!(redeem_code(&used, &exchange(), &client(), None, &terms(1002)), Err(GrantError::Replay));
}

#[test]
fn a_code_belongs_to_its_client_rfc_6749_4_1_3() {
    let mut other = client();
    other.id = 8;
    for used_at in [None, Some(at(1010))] {
        let record = CodeRecord { used_at, ..code() };
        let error = redeem_code(&record, &exchange(), &other, None, &terms(1011)).unwrap_err();
        assert_eq!(error, GrantError::WrongClient);
        assert!(!error.revokes_family(), "another client cannot have the tokens revoked");
    }
}

#[test]
fn a_code_needs_its_redirect_uri_rfc_6749_4_1_3() {
    for uri in ["https://a.example/cb/", "https://a.example/CB", ""] {
        let request = CodeExchange { redirect_uri: uri.to_owned(), ..exchange() };
        assert_eq!(redeem_code(&code(), &request, &client(), None, &terms(1001)), Err(GrantError::WrongRedirect));
    }
}

#[test]
fn a_code_needs_its_verifier_rfc_7636_4_6() {
    let request = CodeExchange { verifier: Verifier::parse(OTHER_VERIFIER).unwrap(), ..exchange() };
    assert_eq!(redeem_code(&code(), &request, &client(), None, &terms(1001)), Err(GrantError::WrongVerifier));
}

#[test]
fn a_client_uses_only_its_grants_rfc_6749_5_2() {
    let mut client = client();
    client.grant_types = vec![GrantType::ClientCredentials];
    let code = redeem_code(&code(), &exchange(), &client, None, &terms(1001));
    let refresh = rotate_refresh(&refresh(), &refresh_for(None), &client, None, &terms(1001));
    assert_eq!(code, Err(GrantError::NotRegistered));
    assert_eq!(refresh, Err(GrantError::NotRegistered));
    assert_eq!(GrantError::NotRegistered.answer().code, ErrorCode::UnauthorizedClient);
}

#[test]
fn a_refresh_token_is_worth_its_successor_rfc_6749_6() {
    let granted = rotate_refresh(&refresh(), &refresh_for(None), &client(), None, &terms(1999)).unwrap();
    assert_eq!(granted.scope, scope("openid email"));
    assert_eq!(granted.refresh_scope, Some(scope("openid email")));
    assert_eq!(granted.nonce, None);
    assert_eq!(granted.auth_time, at(900));
}

#[test]
fn a_refresh_may_narrow_but_not_widen_rfc_6749_6() {
    let narrow = rotate_refresh(&refresh(), &refresh_for(Some("openid")), &client(), None, &terms(1001)).unwrap();
    assert_eq!(narrow.scope, scope("openid"));
    assert_eq!(narrow.refresh_scope, Some(scope("openid email")), "the refresh token stays as wide");
    let wide = rotate_refresh(&refresh(), &refresh_for(Some("openid profile")), &client(), None, &terms(1001));
    assert_eq!(wide, Err(GrantError::ScopeTooWide));
    assert_eq!(GrantError::ScopeTooWide.answer().code, ErrorCode::InvalidScope);
}

#[test]
fn a_rotated_token_that_comes_again_revokes_the_family_rfc_9700_4_14_2() {
    for (revoked_at, now) in [(None, 1011), (Some(at(1010)), 1011), (None, 9999)] {
        let record = RefreshRecord { rotated_at: Some(at(1005)), revoked_at, ..refresh() };
        let error = rotate_refresh(&record, &refresh_for(None), &client(), None, &terms(now)).unwrap_err();
        assert_eq!(error, GrantError::Replay);
        assert!(error.revokes_family());
    }
}

#[test]
fn a_refresh_token_ends_with_time_and_revocation() {
    let record = RefreshRecord { revoked_at: Some(at(1000)), ..refresh() };
    assert_eq!(rotate_refresh(&record, &refresh_for(None), &client(), None, &terms(1001)), Err(GrantError::Revoked));
    assert_eq!(rotate_refresh(&refresh(), &refresh_for(None), &client(), None, &terms(2000)), Err(GrantError::Expired));
}

#[test]
fn an_authorization_ends_however_often_it_is_renewed_asvs_10_4_8() {
    let year = Lifetimes::default().grant.as_secs();
    let session = Lifetimes::default().session.as_secs();
    for (granted, longest) in [
        ("openid", year),
        ("openid offline_access", year),
        ("openid online_access", session),
        ("openid offline_access online_access", year),
    ] {
        let end = 900 + longest;
        let record = RefreshRecord { scope: scope(granted), expires_at: at(end + 99), ..refresh() };
        let last = rotate_refresh(&record, &refresh_for(None), &client(), None, &terms(end - 1)).unwrap();
        assert_eq!(last.ends_at, at(end), "{granted}");
        let over = rotate_refresh(&record, &refresh_for(None), &client(), None, &terms(end));
        assert_eq!(over, Err(GrantError::Expired), "{granted}");
        let code = CodeRecord { scope: scope(granted), ..code() };
        let first = redeem_code(&code, &exchange(), &client(), None, &terms(1001)).unwrap();
        assert_eq!(first.ends_at, at(end), "{granted}");
    }
}

#[test]
fn a_token_is_for_what_was_granted_or_less_rfc_8707_2_2() {
    for (granted, asked, expected) in [
        (&[][..], &[][..], Ok(&[][..])),
        (&[], &[SITE], Ok(&[SITE])),
        (&[], &[API], Err(GrantError::WrongTarget)),
        (&[SITE, API], &[API], Ok(&[API])),
        (&[API], &[], Ok(&[API])),
        (&[API], &[SITE], Err(GrantError::WrongTarget)),
    ] {
        let expected = expected.map(audience);
        let code = CodeRecord { audience: audience(granted), ..code() };
        let request = CodeExchange { audience: audience(asked), ..exchange() };
        let redeemed = redeem_code(&code, &request, &client(), None, &terms(1001)).map(|granted| granted.audience);
        assert_eq!(redeemed, expected, "{granted:?} {asked:?}");
        let held = RefreshRecord { audience: audience(granted), ..refresh() };
        let request = RefreshExchange { audience: audience(asked), ..refresh_for(None) };
        let rotated = rotate_refresh(&held, &request, &client(), None, &terms(1001)).map(|granted| granted.audience);
        assert_eq!(rotated, expected, "{granted:?} {asked:?}");
    }
    assert_eq!(GrantError::WrongTarget.answer().code, ErrorCode::InvalidTarget);
}

#[test]
fn a_refresh_token_belongs_to_its_client_rfc_6749_6() {
    let mut other = client();
    other.id = 8;
    let record = RefreshRecord { rotated_at: Some(at(1000)), ..refresh() };
    assert_eq!(rotate_refresh(&record, &refresh_for(None), &other, None, &terms(1001)), Err(GrantError::WrongClient));
}

#[test]
fn only_a_confidential_client_that_is_registered_for_it_acts_by_itself_rfc_6749_4_4() {
    let service = |kind, grants: &[GrantType]| Client {
        kind,
        grant_types: grants.to_vec(),
        scopes: scope("openid email offline_access"),
        ..client()
    };
    let confidential = || ClientKind::Confidential(Credential::SecretBasic(TokenHash::of("s")));
    let own = [GrantType::ClientCredentials];
    let good = service(confidential(), &own);
    // RFC 6749 4.4.3: no refresh token, so nothing that asks for one.
    assert_eq!(client_credentials(&good, None).unwrap().to_string(), "openid email");
    for (asked, expected) in [
        ("email", Ok("email")),
        ("email profile", Ok("email")),
        ("profile", Err(GrantError::NoScope)),
        ("offline_access", Err(GrantError::NoScope)),
    ] {
        let granted = client_credentials(&good, Some(&scope(asked))).map(|scope| scope.to_string());
        assert_eq!(granted, expected.map(str::to_owned), "{asked}");
    }
    assert_eq!(client_credentials(&service(ClientKind::Public, &own), None).err(), Some(GrantError::NotRegistered));
    let of_code = service(confidential(), &[GrantType::AuthorizationCode]);
    assert_eq!(client_credentials(&of_code, None).err(), Some(GrantError::NotRegistered));
}

#[test]
fn the_client_learns_nothing_about_the_grant() {
    for error in [
        GrantError::WrongClient,
        GrantError::Replay,
        GrantError::Revoked,
        GrantError::Expired,
        GrantError::WrongRedirect,
        GrantError::WrongVerifier,
    ] {
        assert_eq!(error.answer(), OAuthError::invalid_grant());
    }
}

#[test]
fn the_default_lifetimes() {
    let lifetimes = Lifetimes::default();
    assert_eq!(lifetimes.code.as_secs(), 60);
    assert_eq!(lifetimes.access.as_secs(), 900);
    assert_eq!(lifetimes.refresh.as_secs(), 1_209_600);
    assert_eq!(lifetimes.grant.as_secs(), 365 * 86_400);
}

proptest! {
    #[test]
    fn a_code_is_granted_only_if_everything_fits(
        client_id in 7..9_i32, used: bool, ended: bool, verifier_fits: bool, uri_fits: bool, now in 1000..1120_i64,
    ) {
        let mut client = client();
        client.id = client_id;
        let record = CodeRecord { used_at: used.then(|| at(1001)), revoked_at: ended.then(|| at(1000)), ..code() };
        let request = CodeExchange {
            verifier: Verifier::parse(if verifier_fits { VERIFIER } else { OTHER_VERIFIER }).unwrap(),
            redirect_uri: if uri_fits { URI.to_owned() } else { format!("{URI}x") },
            ..exchange()
        };
        let granted = redeem_code(&record, &request, &client, None, &terms(now)).is_ok();
        prop_assert_eq!(granted, client_id == 7 && !used && !ended && verifier_fits && uri_fits && now < 1060);
    }
}

#[test]
fn what_is_bound_to_a_key_needs_a_proof_by_that_key_rfc_9449_5_and_10() {
    let key = |byte: &str| Thumbprint::parse(&byte.repeat(43)).unwrap();
    let proof = |key: Thumbprint| Proof { key, id: crate::TokenHash::of("jti"), expires_at: at(1060) };
    for (bound, proof, passes) in [
        (None, None, true),
        (None, Some(proof(key("A"))), true),
        (Some(key("A")), Some(proof(key("A"))), true),
        (Some(key("A")), Some(proof(key("Q"))), false),
        (Some(key("A")), None, false),
    ] {
        let record = CodeRecord { key: bound.clone(), ..code() };
        let redeemed = redeem_code(&record, &exchange(), &client(), proof.as_ref(), &terms(1001));
        assert_eq!(redeemed.is_ok(), passes, "{bound:?} {proof:?}");
        let record = RefreshRecord { key: bound.clone(), ..refresh() };
        let rotated = rotate_refresh(&record, &refresh_for(None), &client(), proof.as_ref(), &terms(1001));
        assert_eq!(rotated.is_ok(), passes, "{bound:?} {proof:?}");
        if !passes {
            assert_eq!(rotated, Err(GrantError::WrongKey));
            assert_eq!(GrantError::WrongKey.answer(), OAuthError::invalid_grant());
        }
    }
}
