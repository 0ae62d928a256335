use proptest::prelude::*;

use super::*;
use crate::error::ErrorCode;

#[test]
fn what_may_be_registered() {
    let long = format!("https://a.example/{}", "a".repeat(MAX_CHARACTERS));
    let table = [
        ("https://a.example/cb", Ok(())),
        ("https://a.example", Ok(())),
        ("https://a.example:8443/cb?x=1", Ok(())),
        ("https://a.example/user@home", Ok(())),
        ("http://localhost:8000/auth/callback", Ok(())),
        ("http://127.0.0.1/cb", Ok(())),
        ("http://[::1]:9/cb", Ok(())),
        ("org.example.app:/cb", Ok(())),
        ("org.example.app://cb", Ok(())),
        ("http://a.example/cb", Err(RedirectError::Insecure)),
        ("http://localhost.evil.example/cb", Err(RedirectError::Insecure)),
        ("http://127.0.0.1.evil.example/cb", Err(RedirectError::Insecure)),
        ("http://[::1]evil.example/cb", Err(RedirectError::Insecure)),
        ("http://127.0.0.1:x/cb", Err(RedirectError::Insecure)),
        ("http://127.0.0.1:99999/cb", Err(RedirectError::Insecure)),
        ("https://a.example/cb#", Err(RedirectError::Fragment)),
        ("https://a.example/cb#x", Err(RedirectError::Fragment)),
        ("https://user@a.example/cb", Err(RedirectError::Userinfo)),
        ("https://a.example:pw@evil.example/cb", Err(RedirectError::Userinfo)),
        ("http://127.0.0.1:80@evil.example/cb", Err(RedirectError::Userinfo)),
        ("javascript:alert(1)", Err(RedirectError::Scheme)),
        ("data:text/html,x", Err(RedirectError::Scheme)),
        ("myapp:/cb", Err(RedirectError::Scheme)),
        ("org.example.app:", Err(RedirectError::Scheme)),
        ("https:/a.example", Err(RedirectError::Malformed)),
        ("https://", Err(RedirectError::Malformed)),
        ("https:///cb", Err(RedirectError::Malformed)),
        ("HTTPS://a.example/cb", Err(RedirectError::Malformed)),
        ("//a.example/cb", Err(RedirectError::Malformed)),
        ("/cb", Err(RedirectError::Malformed)),
        ("", Err(RedirectError::Malformed)),
        ("https://a.example/c b", Err(RedirectError::Malformed)),
        ("https://a.example\\@evil.example", Err(RedirectError::Malformed)),
        ("https://a.example/cb\r\nX: y", Err(RedirectError::Malformed)),
        ("https://ä.example/cb", Err(RedirectError::Malformed)),
        (&long, Err(RedirectError::Malformed)),
    ];
    for (uri, expected) in table {
        assert_eq!(check(uri), expected, "{uri:?}");
    }
}

fn registered() -> Vec<String> {
    [
        "https://a.example/cb",
        "http://localhost:8000/cb",
        "http://127.0.0.1/cb",
        "http://[::1]:7777/cb?x=1",
        "https://a.example/bad#fragment",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[test]
fn matching_is_exact_rfc_9700_2_1() {
    for (uri, expected) in [
        ("https://a.example/cb", true),
        ("https://a.example/cb/", false),
        ("https://a.example/cb?x=1", false),
        ("https://a.example/CB", false),
        ("https://A.example/cb", false),
        ("https://a.example:443/cb", false),
        ("https://a.example/x/../cb", false),
        ("https://a.example/%63b", false),
        ("https://b.a.example/cb", false),
        ("http://a.example/cb", false),
        ("https://a.example/bad#fragment", false),
    ] {
        assert_eq!(is_registered(&registered(), uri), expected, "{uri}");
    }
}

#[test]
fn only_the_port_of_a_loopback_address_may_differ_rfc_8252_7_3() {
    for (uri, expected) in [
        ("http://127.0.0.1/cb", true),
        ("http://127.0.0.1:49152/cb", true),
        ("http://127.0.0.1:49152/other", false),
        ("http://127.0.0.1:49152/cb?x=1", false),
        ("https://127.0.0.1:49152/cb", false),
        ("http://127.0.0.2:49152/cb", false),
        ("http://[::1]:1/cb?x=1", true),
        ("http://[::1]/cb?x=1", true),
        ("http://[::1]:1/cb", false),
        ("http://[::1]:1/cb?x=2", false),
        ("http://localhost:8000/cb", true),
        ("http://localhost:8001/cb", false),
        ("http://localhost/cb", false),
    ] {
        assert_eq!(is_registered(&registered(), uri), expected, "{uri}");
    }
}

#[test]
fn the_response_is_appended_rfc_6749_4_1_2_and_rfc_9207_2() {
    let issuer = "https://e.example/o";
    for (uri, start) in [
        ("https://a.example/cb", "https://a.example/cb?"),
        ("https://a.example/cb?", "https://a.example/cb?"),
        ("https://a.example/cb?x=1", "https://a.example/cb?x=1&"),
        ("https://a.example/cb?x=1&", "https://a.example/cb?x=1&"),
    ] {
        let location = with_code(uri, "c-1", Some("s & t"), issuer);
        assert_eq!(location, format!("{start}code=c-1&state=s+%26+t&iss=https%3A%2F%2Fe.example%2Fo"));
    }
    assert_eq!(
        with_code("org.example.app:/cb", "c", None, issuer),
        "org.example.app:/cb?code=c&iss=https%3A%2F%2Fe.example%2Fo"
    );
}

#[test]
fn an_error_is_appended_rfc_6749_4_1_2_1() {
    let error = OAuthError::new(ErrorCode::AccessDenied, "The user did not agree.");
    assert_eq!(
        with_error("https://a.example/cb", &error, Some("s"), "i"),
        "https://a.example/cb?error=access_denied&error_description=The+user+did+not+agree.&state=s&iss=i"
    );
}

proptest! {
    #[test]
    fn no_input_panics(uri in ".*") {
        let _ = check(&uri);
        let _ = is_registered(&registered(), &uri);
    }

    #[test]
    fn nothing_near_a_loopback_uri_passes_but_a_port(tail in "[a-z0-9.:@/?\\[\\]-]{0,24}") {
        let uri = format!("http://127.0.0.1{tail}");
        let port = tail.strip_suffix("/cb").map(|port| port.strip_prefix(':').unwrap_or(port));
        if is_registered(&registered(), &uri) {
            prop_assert!(port.is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok()));
        }
    }

    #[test]
    fn state_cannot_add_a_parameter(state in "[ -~]{1,40}") {
        let location = with_code("https://a.example/cb", "c", Some(&state), "i");
        let query = location.split_once('?').unwrap().1;
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let expected = [("code", "c"), ("state", state.as_str()), ("iss", "i")];
        prop_assert_eq!(pairs, expected.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec());
    }
}
