use proptest::prelude::*;

use super::*;

const SITE: &str = "https://e.example";
const API: &str = "https://api.example/v2";

fn audience(uris: &[&str]) -> Audience {
    Audience::of(uris.iter().map(|uri| (*uri).to_owned()).collect())
}

fn asked(uris: &[&str]) -> Result<Audience, OAuthError> {
    Audience::asked(&Params::from_pairs(uris.iter().map(|uri| ("resource", *uri))).unwrap())
}

#[test]
fn a_resource_is_an_absolute_uri_without_fragment_rfc_8707_2() {
    for good in [API, SITE, "urn:example:api", "https://api.example/v2?tenant=1", "http://localhost:8000/FHIR/R5"] {
        assert_eq!(asked(&[good]), Ok(audience(&[good])), "{good}");
    }
    let long = format!("https://{}", "a".repeat(MAX_CHARACTERS));
    for bad in ["/api", "api", "https://", "https:", ":x", "https://a#b", "https://a b", "https://ü", "a\"b:c", &long]
    {
        assert_eq!(asked(&[bad]).unwrap_err().code, ErrorCode::InvalidTarget, "{bad}");
    }
    assert!(asked(&[]).unwrap().uris().is_empty());
    assert_eq!(asked(&[API, "https://api.example/v2/", SITE]), Ok(audience(&[API, SITE])), "each once");
    let many: Vec<String> = (0..=MAX_RESOURCES).map(|n| format!("{API}/{n}")).collect();
    assert!(asked(&many.iter().map(String::as_str).collect::<Vec<_>>()).is_err());
}

#[test]
fn a_token_opens_what_is_below_its_resource() {
    let paths = ["/FHIR/R5", "/fhir/r5/Patient/1", "/api/v1/users/profile", "/o/userinfo/", "/FHIR/R50"];
    for (uris, opened) in [
        (&[][..], [true, true, true, true, true]),
        (&[SITE], [true, true, true, true, true]),
        (&["https://e.example/"], [true, true, true, true, true]),
        (&["https://e.example/FHIR/R5"], [true, true, false, true, false]),
        (&["https://e.example/fhir/r5/"], [true, true, false, true, false]),
        (&["https://e.example/api/v1"], [false, false, true, true, false]),
        (&[API], [false; 5]),
        (&[API, "https://e.example/api/v1"], [false, false, true, true, false]),
        (&["https://e.example.evil.example"], [false; 5]),
        (&["https://e.example/other"], [false; 5]),
        (&["http://e.example"], [false; 5]),
    ] {
        let audience = audience(uris);
        assert_eq!(paths.map(|path| audience.opens(path, SITE)), opened, "{uris:?}");
    }
}

#[test]
fn what_is_not_of_this_server_is_looked_up() {
    let mixed = audience(&[SITE, API, "https://e.example/FHIR/R5", "https://e.example/other"]);
    assert_eq!(mixed.elsewhere(SITE).collect::<Vec<_>>(), [API, "https://e.example/other"]);
}

#[test]
fn a_token_is_for_no_more_than_was_granted_rfc_8707_2_2() {
    let fhir = "https://e.example/FHIR/R5";
    for (granted, asked, expected) in [
        (&[][..], &[][..], Some(&[][..])),
        (&[], &[fhir], Some(&[fhir])),
        (&[], &[SITE], Some(&[SITE])),
        (&[], &[API], None),
        (&[SITE], &[fhir], Some(&[fhir])),
        (&[fhir], &[SITE], None),
        (&[fhir], &["https://e.example/fhir/r5"], Some(&["https://e.example/fhir/r5"])),
        (&[fhir], &["https://e.example/api/v1"], None),
        (&[fhir, API], &[API], Some(&[API])),
        (&[fhir, API], &[], Some(&[fhir, API])),
        (&[API], &["https://api.example/v2/"], Some(&["https://api.example/v2/"])),
        (&[API], &[SITE], None),
        (&[API], &["https://api.example"], None),
    ] {
        let narrowed = audience(granted).narrowed(&audience(asked), SITE);
        assert_eq!(narrowed, expected.map(audience), "{granted:?} {asked:?}");
    }
}

#[test]
fn a_resource_server_is_told_of_what_is_for_it() {
    assert!(audience(&[API]).is_for("https://api.example/v2/", SITE));
    assert!(!audience(&[API]).is_for("https://api.example", SITE));
    assert!(!audience(&[]).is_for(API, SITE), "what names nothing is for this server");
    assert!(audience(&[]).is_for(SITE, SITE));
    assert_eq!(audience(&[]).told(SITE), [SITE]);
    assert_eq!(audience(&[API, SITE]).told(SITE), [API, SITE]);
}

proptest! {
    #[test]
    fn what_is_narrowed_never_opens_more(
        granted in prop::collection::vec(uri(), 0..3), asked in prop::collection::vec(uri(), 0..3), path in path(),
    ) {
        let granted = Audience::of(granted);
        if let Some(narrowed) = granted.narrowed(&Audience::of(asked), SITE) {
            prop_assert!(!narrowed.opens(path, SITE) || granted.opens(path, SITE));
            prop_assert!(!narrowed.is_for(API, SITE) || granted.is_for(API, SITE));
        }
    }

    #[test]
    fn no_input_panics(text in ".*") {
        let _ = is_resource(&text);
        let _ = audience(&[&text]).opens(&text, SITE);
    }
}

fn uri() -> impl Strategy<Value = String> {
    let known =
        [SITE, API, "https://e.example/FHIR/R5", "https://e.example/fhir/r5/", "https://e.example/api/v1", "urn:x:y"];
    prop::sample::select(known.to_vec()).prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["/FHIR/R5/Patient", "/fhir/r5", "/api/v1/clients", "/o/userinfo/", "/"])
}
