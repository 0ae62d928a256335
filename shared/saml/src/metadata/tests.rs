use super::*;
use crate::testing::{IDP, OTHER, metadata};

#[test]
fn metadata_tells_where_to_go_and_whom_to_believe() {
    let found = IdentityProvider::from_metadata(&metadata()).unwrap();
    assert_eq!(found.entity_id, IDP);
    assert_eq!(found.sign_in, "https://idp.example/sso");
    let slo = "https://idp.example/slo".to_owned();
    assert_eq!(found.sign_out, Some(SignOutEndpoint { request: slo.clone(), response: slo }));
    assert_eq!(found.valid_until, None);
}

#[test]
fn a_list_may_hold_one_identity_provider() {
    let one = metadata();
    let list = |content: &str| {
        format!(
            "<md:EntitiesDescriptor xmlns:md=\"{}\" validUntil=\"2026-12-01T00:00:00Z\">{content}</md:EntitiesDescriptor>",
            names::METADATA
        )
    };
    let found =
        IdentityProvider::from_metadata(&list(&format!("<!-- a list -->{one}<md:EntityDescriptor entityID=\"sp\"/>")))
            .unwrap();
    assert_eq!(found.valid_until.unwrap().to_string(), "2026-12-01T00:00:00Z");
    assert!(IdentityProvider::from_metadata(&list(&format!("{one}{one}"))).is_err());
    assert!(IdentityProvider::from_metadata(&list("")).is_err());
}

#[test]
fn metadata_that_leads_astray_is_refused() {
    let good = metadata();
    for (from, to) in [
        ("https://idp.example/sso", "http://idp.example/sso"),
        ("https://idp.example/sso", "javascript:alert(1)"),
        ("https://idp.example/sso", "https://idp.example/ x"),
        ("https://idp.example/slo", "http://idp.example/slo"),
        (names::REDIRECT, names::POST),
        ("use=\"signing\"", "use=\"encryption\""),
        (" entityID=", " other="),
        ("<md:EntityDescriptor ", "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><md:EntityDescriptor "),
        ("<ds:X509Certificate>", "<ds:X509Certificate>AAAA"),
        ("<ds:X509Certificate>", "<ds:X509Certificate><!-- -->"),
    ] {
        let changed = good.replace(from, to);
        assert_ne!(changed, good, "{from}");
        assert!(IdentityProvider::from_metadata(&changed).is_err(), "{from} -> {to}");
    }
}

#[test]
fn both_keys_count_while_one_takes_over_from_the_other() {
    let second = format!(
        "</md:KeyDescriptor><md:KeyDescriptor><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
        OTHER.certificate().unwrap()
    );
    let found = IdentityProvider::from_metadata(&metadata().replacen("</md:KeyDescriptor>", &second, 1)).unwrap();
    let url = crate::redirect::address("https://sp.example/", crate::Kind::Request, "<a/>", None, &OTHER).unwrap();
    let (_, query) = url.split_once('?').unwrap();
    assert!(crate::Redirected::open(query, &found.keys).is_ok());
    let only = IdentityProvider::from_metadata(&metadata()).unwrap();
    assert_eq!(crate::Redirected::open(query, &only.keys), Err(Refusal::Signature));
}

#[test]
fn the_same_key_gives_the_same_certificate() {
    assert_eq!(OTHER.certificate().unwrap(), OTHER.certificate().unwrap());
}
