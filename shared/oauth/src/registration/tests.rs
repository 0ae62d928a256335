use proptest::prelude::*;

use super::*;

const CODE: &[GrantType] = &[GrantType::AuthorizationCode, GrantType::RefreshToken];

/// A browser app that is right in every way.
struct Wanted {
    name: &'static str,
    redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    grant_types: Vec<GrantType>,
    scopes: Scope,
    auth_method: AuthMethod,
    keys: Option<Result<(), KeySetError>>,
    jwks_uri: Option<&'static str>,
    resource_uri: Option<&'static str>,
    invitation_url: Option<&'static str>,
    acts_as: bool,
    static_pkce: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            name: "CareX",
            redirect_uris: vec!["https://a.example/cb".to_owned()],
            post_logout_redirect_uris: vec![],
            grant_types: CODE.to_vec(),
            scopes: Scope::parse("openid").unwrap(),
            auth_method: AuthMethod::None,
            keys: None,
            jwks_uri: None,
            resource_uri: None,
            invitation_url: None,
            acts_as: false,
            static_pkce: false,
        }
    }
}

impl Wanted {
    /// A backend service.
    fn service() -> Self {
        Self {
            redirect_uris: vec![],
            post_logout_redirect_uris: vec![],
            grant_types: vec![GrantType::ClientCredentials],
            auth_method: AuthMethod::PrivateKeyJwt,
            keys: Some(Ok(())),
            acts_as: true,
            ..Self::default()
        }
    }

    /// A server that only introspects.
    fn resource_server() -> Self {
        Self {
            redirect_uris: vec![],
            grant_types: vec![],
            scopes: Scope::default(),
            auth_method: AuthMethod::SecretBasic,
            resource_uri: Some("https://api.example"),
            ..Self::default()
        }
    }

    fn wrong(&self) -> Vec<&'static str> {
        let registration = Registration {
            name: self.name,
            redirect_uris: &self.redirect_uris,
            post_logout_redirect_uris: &self.post_logout_redirect_uris,
            grant_types: &self.grant_types,
            scopes: &self.scopes,
            auth_method: self.auth_method,
            keys: self.keys,
            jwks_uri: self.jwks_uri,
            resource_uri: self.resource_uri,
            invitation_url: self.invitation_url,
            acts_as: self.acts_as,
            static_pkce: self.static_pkce,
        };
        let mut fields: Vec<_> = registration.problems().into_iter().map(|problem| problem.field).collect();
        fields.dedup();
        fields
    }
}

#[test]
fn what_is_right_is_accepted() {
    for (wanted, what) in [
        (Wanted::default(), "a public client"),
        (
            Wanted {
                auth_method: AuthMethod::SecretBasic,
                resource_uri: Some("https://api.example"),
                ..Wanted::default()
            },
            "a server",
        ),
        (Wanted::service(), "a backend service with keys"),
        (Wanted::resource_server(), "a server that only introspects"),
        (Wanted { keys: None, jwks_uri: Some("https://a.example/jwks"), ..Wanted::service() }, "with a URL"),
        (Wanted { invitation_url: Some("https://a.example?invitation=CODE"), ..Wanted::default() }, "with invitations"),
    ] {
        assert_eq!(wanted.wrong(), [""; 0], "{what}");
    }
}

#[test]
fn redirect_uris_are_https_or_of_the_device_without_fragment_and_wildcard_rfc_9700_4_1() {
    for (uri, good) in [
        ("https://a.example/cb?x=1", true),
        ("http://localhost:8000/cb", true),
        ("http://127.0.0.1/cb", true),
        ("org.example.app:/cb", true),
        ("http://a.example/cb", false),
        ("https://a.example/cb#x", false),
        ("https://*.a.example/cb", false),
        ("https://a.example/*", false),
        ("https://user@a.example/cb", false),
        ("myapp:/cb", false),
        ("javascript:alert(1)", false),
        ("/cb", false),
    ] {
        let wanted = Wanted { redirect_uris: vec![uri.to_owned()], ..Wanted::default() };
        assert_eq!(wanted.wrong().is_empty(), good, "{uri}");
    }
    let many = vec!["https://a.example/cb".to_owned(); MAX_REDIRECT_URIS + 1];
    assert_eq!(Wanted { redirect_uris: many, ..Wanted::default() }.wrong(), ["redirectUris"]);
    assert_eq!(Wanted { redirect_uris: vec![], ..Wanted::default() }.wrong(), ["redirectUris"]);
}

#[test]
fn who_asks_for_no_token_proves_who_it_is_and_serves_something_rfc_7662_2_1() {
    for (wanted, fields) in [
        (
            Wanted { auth_method: AuthMethod::None, ..Wanted::resource_server() },
            vec!["grantTypes", "scopes", "resourceUri"],
        ),
        (Wanted { resource_uri: None, ..Wanted::resource_server() }, vec!["grantTypes", "scopes"]),
        (
            Wanted { redirect_uris: vec!["https://a.example/cb".to_owned()], ..Wanted::resource_server() },
            vec!["redirectUris"],
        ),
        (Wanted { scopes: Scope::default(), ..Wanted::default() }, vec!["scopes"]),
    ] {
        assert_eq!(wanted.wrong(), fields);
    }
}

#[test]
fn a_name_is_what_people_see() {
    for name in ["CareX", "Ünïcode 研究", "نبض", "O'Neill & Co.", "Care\u{a0}X"] {
        assert_eq!(Wanted { name, ..Wanted::default() }.wrong(), [""; 0], "{name:?}");
    }
    for name in [
        "Care\u{200b}X",
        "\u{202e}XeraC",
        "Care\u{2066}X",
        "Care\u{ad}X",
        "\u{feff}CareX",
        "Care\u{3164}",
        "Care\u{e0041}X",
        "a\nb",
    ] {
        assert_eq!(Wanted { name, ..Wanted::default() }.wrong(), ["name"], "{name:?}");
    }
}

#[test]
fn grants_fit_together_and_fit_the_client_rfc_6749_4_4() {
    let code = vec!["https://a.example/cb".to_owned()];
    for (wanted, fields, what) in [
        (Wanted { redirect_uris: vec![], grant_types: vec![], ..Wanted::default() }, vec!["grantTypes"], "none"),
        (
            Wanted { redirect_uris: vec![], grant_types: vec![GrantType::RefreshToken], ..Wanted::default() },
            vec!["grantTypes"],
            "refresh alone",
        ),
        (
            Wanted { auth_method: AuthMethod::None, keys: None, ..Wanted::service() },
            vec!["grantTypes"],
            "a public service",
        ),
        (Wanted { acts_as: false, ..Wanted::service() }, vec!["actsAs"], "a service for nobody"),
        (Wanted { acts_as: true, ..Wanted::default() }, vec!["actsAs"], "an app that acts as somebody"),
        (Wanted { redirect_uris: code, ..Wanted::service() }, vec!["redirectUris"], "a service with a redirect URI"),
        (
            Wanted { resource_uri: Some("https://api.example"), ..Wanted::default() },
            vec!["resourceUri"],
            "a public server",
        ),
        (
            Wanted { grant_types: [CODE, &[GrantType::TokenExchange]].concat(), ..Wanted::default() },
            vec!["grantTypes"],
            "a public client that exchanges",
        ),
        (
            Wanted { auth_method: AuthMethod::SecretBasic, resource_uri: Some("/api"), ..Wanted::default() },
            vec!["resourceUri"],
            "no URI",
        ),
        (Wanted { scopes: Scope::default(), ..Wanted::default() }, vec!["scopes"], "no scope"),
    ] {
        assert_eq!(wanted.wrong(), fields, "{what}");
    }
}

#[test]
fn keys_go_with_private_key_jwt_and_come_from_one_place() {
    let url = Some("https://a.example/jwks");
    for (wanted, fields) in [
        (Wanted { keys: None, ..Wanted::service() }, vec!["jwks"]),
        (Wanted { jwks_uri: url, ..Wanted::service() }, vec!["jwks"]),
        (Wanted { auth_method: AuthMethod::SecretBasic, ..Wanted::service() }, vec!["jwks"]),
        (Wanted { keys: Some(Err(KeySetError::Private)), ..Wanted::service() }, vec!["jwks"]),
        (Wanted { keys: None, jwks_uri: Some("http://a.example/jwks"), ..Wanted::service() }, vec!["jwksUri"]),
    ] {
        assert_eq!(wanted.wrong(), fields);
    }
}

#[test]
fn the_fixed_pair_is_for_apps_that_patients_are_invited_to() {
    let link = Some("https://a.example?invitation=CODE");
    assert_eq!(Wanted { static_pkce: true, invitation_url: link, ..Wanted::default() }.wrong(), [""; 0]);
    assert_eq!(Wanted { static_pkce: true, ..Wanted::default() }.wrong(), ["staticPkce"]);
}

#[test]
fn an_invitation_link_has_a_place_for_the_code() {
    for url in ["https://a.example/", "myapp.example:/CODE", "ftp://a.example/CODE", "http://a.example/CODE", "CODE"] {
        let wanted = Wanted { invitation_url: Some(url), ..Wanted::default() };
        assert_eq!(wanted.wrong(), ["invitationUrl"], "{url}");
    }
}

#[test]
fn only_https_to_a_name_is_fetched() {
    for (url, good) in [
        ("https://a.example", true),
        ("https://a.example:8443/x/jwks.json?v=1", true),
        ("https://1a.example/jwks", true),
        ("http://a.example/jwks", false),
        ("HTTPS://a.example/jwks", false),
        ("https://127.0.0.1/jwks", false),
        ("https://127.1/jwks", false),
        ("https://2130706433/jwks", false),
        ("https://0x7f.1/jwks", false),
        ("https://0x7f.0.0.0x1/jwks", false),
        ("https://[::1]/jwks", false),
        ("https://[::ffff:10.0.0.1]/jwks", false),
        ("https://localhost/jwks", false),
        ("https://a.example./jwks", false),
        ("https://user@a.example/jwks", false),
        ("https://a.example@10.0.0.1/jwks", false),
        ("https://a.example:0/jwks", false),
        ("https://a.example:99999/jwks", false),
        ("https://a.example:x/jwks", false),
        ("https://a.example/jwks#f", false),
        ("https://a..example/jwks", false),
        ("https://-a.example/jwks", false),
        ("https:///jwks", false),
        ("https://a.example/ jwks", false),
        ("https://a.example\\@10.0.0.1/", false),
        ("", false),
    ] {
        assert_eq!(is_fetchable(url), good, "{url}");
    }
}

proptest! {
    #[test]
    fn no_url_panics(url in ".*") {
        let _ = is_fetchable(&url);
        let _ = is_fetchable(&format!("https://{url}"));
    }
}

#[test]
fn the_ways_back_after_signing_out_are_urls_of_the_same_kind() {
    for (uri, wrong) in [
        ("https://a.example/out", false),
        ("http://a.example/out", true),
        ("https://a.example/*", true),
        ("https://a.example/#x", true),
        ("javascript:alert(1)", true),
    ] {
        let wanted = Wanted { post_logout_redirect_uris: vec![uri.to_owned()], ..Wanted::default() };
        let expected: &[&str] = if wrong { &["postLogoutRedirectUris"] } else { &[] };
        assert_eq!(wanted.wrong(), expected, "{uri}");
    }
}
