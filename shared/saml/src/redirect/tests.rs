use super::*;
use crate::testing::{KEY, OTHER, identity_provider};
use proptest::prelude::*;

fn query(state: Option<&str>) -> String {
    let url = address("https://a.example/slo", Kind::Request, "<a>ü&amp;</a>", state, &KEY).unwrap();
    url.split_once('?').unwrap().1.to_owned()
}

#[test]
fn a_message_goes_and_comes_by_redirect() {
    let keys = identity_provider().keys;
    for state in [None, Some("state / &=+ ü")] {
        let found = Redirected::open(&query(state), &keys).unwrap();
        assert_eq!(
            (found.kind, found.xml.as_str(), found.relay_state.as_deref()),
            (Kind::Request, "<a>ü&amp;</a>", state)
        );
    }
    let with_query = address("https://a.example/slo?x=y", Kind::Response, "<a/>", None, &KEY).unwrap();
    assert!(with_query.starts_with("https://a.example/slo?x=y&SAMLResponse="), "{with_query}");
}

#[test]
fn a_query_that_was_changed_is_refused() {
    let keys = identity_provider().keys;
    let good = query(Some("state"));
    let unsigned = good.split("&Signature=").next().unwrap();
    let bare = good.split("&SigAlg=").next().unwrap();
    let sha1 = "http%3A%2F%2Fwww.w3.org%2F2000%2F09%2Fxmldsig%23rsa-sha1";
    let (_, algorithm) = unsigned.split_once("SigAlg=").unwrap();
    for (query, refusal) in [
        (unsigned.to_owned(), Refusal::Unsigned),
        (bare.to_owned(), Refusal::Unsigned),
        (good.replace("RelayState=state", "RelayState=other"), Refusal::Signature),
        (good.replace("&RelayState=state", ""), Refusal::Signature),
        (good.replace("SAMLRequest", "SAMLResponse"), Refusal::Signature),
        (good.replace(algorithm, sha1), Refusal::Algorithm),
        (format!("{good}&RelayState=state"), Refusal::Malformed),
        (format!("{good}&SAMLResponse=x"), Refusal::Malformed),
        (format!("{good}&%53AMLRequest=x"), Refusal::Malformed),
        (good.replace("SAMLRequest", "%53AMLRequest"), Refusal::Malformed),
        (String::new(), Refusal::Malformed),
    ] {
        assert_eq!(Redirected::open(&query, &keys), Err(refusal), "{query}");
    }
    let other = address("https://a.example/", Kind::Request, "<a/>", None, &OTHER).unwrap();
    assert_eq!(Redirected::open(other.split_once('?').unwrap().1, &keys), Err(Refusal::Signature));
}

#[test]
fn a_small_message_does_not_become_a_large_one() {
    let bomb = " ".repeat(MAX_MESSAGE + 1);
    let url = address("https://a.example/", Kind::Request, &bomb, None, &KEY).unwrap();
    assert!(url.len() < 5000);
    assert_eq!(Redirected::open(url.split_once('?').unwrap().1, &identity_provider().keys), Err(Refusal::TooLarge));
}

proptest! {
    #[test]
    fn no_query_breaks_the_reader(query in "[ -~]{0,200}") {
        prop_assert!(Redirected::open(&query, &identity_provider().keys).is_err());
    }
}
