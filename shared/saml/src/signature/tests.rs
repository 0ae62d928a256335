use super::*;
use crate::testing::{OTHER, SLOT, assertion, good, judge, response, signed, signed_by, template};

const EVIL: &str = "eve@example.com";

/// The assertion that an attacker wants to be believed: another person, another `ID`, no signature.
fn forged() -> String {
    assertion().replace("ann@example.com", EVIL).replace("_assertion", "_forged").replace(SLOT, "")
}

/// The genuine signed assertion, and its signature alone.
fn genuine() -> (String, String) {
    let signed = signed(&assertion(), "_assertion");
    let start = signed.find("<ds:Signature ").unwrap();
    let end = signed.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
    let signature = signed[start..end].to_owned();
    (signed, signature)
}

fn envelope(content: &str) -> String {
    response(content).replace(SLOT, "")
}

/// The eight forms of XML signature wrapping (Somorovsky and others, "On Breaking SAML", USENIX Security 2012), and some
/// more. In each, a genuine signature of the identity provider is in the document, and would verify.
#[test]
fn no_wrapping_makes_a_forged_assertion_believed() {
    let (whole, signature) = genuine();
    let bare = whole.replace(&signature, "");
    let (forged, object) = (forged(), |inner: &str| format!("<ds:Object>{inner}</ds:Object></ds:Signature>"));
    let issuer_end = "</saml:Issuer>";
    let within = |inner: &str| forged.replacen(issuer_end, &format!("{issuer_end}{inner}"), 1);
    let signed_response = signed(&response(&whole), "_response");
    let response_signature = {
        let start = signed_response.find("<ds:Signature ").unwrap();
        let end = signed_response.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
        signed_response[start..end].to_owned()
    };
    let evil_response = envelope(&forged).replace("_response", "_evil");
    let unsigned_response = signed_response.replacen(&response_signature, "", 1);
    for (name, xml) in [
        ("XSW1: the signed response within the signature of a forged one", evil_response.replacen(
            issuer_end, &format!("{issuer_end}{}", response_signature.replace("</ds:Signature>", &object(&unsigned_response))), 1)),
        ("XSW2: the signature detached beside it", evil_response.replacen(
            issuer_end, &format!("{issuer_end}{unsigned_response}{response_signature}"), 1)),
        ("XSW3: the forged assertion before the genuine one", envelope(&format!("{forged}{whole}"))),
        ("XSW3b: after it", envelope(&format!("{whole}{forged}"))),
        ("XSW4: the genuine one within the forged one", envelope(&forged.replace("</saml:Assertion>", &format!("{whole}</saml:Assertion>")))),
        ("XSW5: the signature in the forged one, the genuine one beside", envelope(&format!("{}{bare}", within(&signature)))),
        ("XSW6: the genuine one within the signature in the forged one", envelope(&within(&signature.replace("</ds:Signature>", &object(&bare))))),
        ("XSW7: the genuine one in extensions", envelope(&forged).replace("<samlp:Status>", &format!("<samlp:Extensions>{whole}</samlp:Extensions><samlp:Status>"))),
        ("XSW8: the genuine one in an object of the signature", envelope(&within(&signature.replace("</ds:Signature>", &object(&whole.replace(&signature, "")))))),
        ("the same ID twice", envelope(&format!("{}{whole}", forged.replace("_forged", "_assertion")))),
        ("the ID under other names", envelope(&within(&signature).replace("ID=\"_forged\"", "ID=\"_assertion\""))),
        ("the genuine one as an attribute's value", envelope(&within(&signature)).replace("<samlp:Status>", &format!("<samlp:Extensions><saml:AttributeValue>{bare}</saml:AttributeValue></samlp:Extensions><samlp:Status>"))),
        ("a second response in the response", envelope(&format!("{forged}{}", envelope(&whole).replace("_response", "_inner")))),
        ("a genuine assertion of another namespace", envelope(&format!("{forged}{}", whole.replace(names::ASSERTION, "urn:other")))),
    ] {
        let found = judge(&xml);
        assert!(found.is_err(), "{name}: {found:?}");
    }
    // The parts are genuine: put together as they belong, they are believed.
    assert!(judge(&envelope(&whole)).is_ok());
    assert!(judge(&signed_response).is_ok());
}

#[test]
fn an_assertion_without_a_signature_of_its_own_is_refused_even_in_a_signed_response() {
    let bare = assertion().replace(SLOT, "");
    assert_eq!(judge(&envelope(&bare)).err(), Some(Refusal::Unsigned));
    assert_eq!(judge(&signed(&response(&bare), "_response")).err(), Some(Refusal::Unsigned));
}

#[test]
fn every_signature_counts_not_only_the_one_that_is_needed() {
    let inner = signed(&assertion(), "_assertion");
    let outer = signed_by(&response(&inner), "_response", &OTHER);
    assert_eq!(judge(&outer).err(), Some(Refusal::Signature));
}

#[test]
fn only_the_keys_of_the_metadata_count() {
    let by_another = envelope(&signed_by(&assertion(), "_assertion", &OTHER));
    assert_eq!(judge(&by_another).err(), Some(Refusal::Signature));
    // The key that a signature brings along is not looked at.
    let certificate = OTHER.certificate().unwrap();
    let info = format!(
        "</ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    );
    assert_eq!(judge(&by_another.replace("</ds:SignatureValue>", &info)).err(), Some(Refusal::Signature));
    assert!(judge(&good().replace("</ds:SignatureValue>", &info)).is_ok());
}

#[test]
fn what_was_signed_cannot_be_changed() {
    for (from, to) in [
        ("ann@example.com", EVIL),
        ("SessionIndex=\"s1\"", "SessionIndex=\"s2\""),
        ("<ds:DigestValue>", "<ds:DigestValue>A"),
        ("<ds:SignatureValue>", "<ds:SignatureValue>A"),
    ] {
        let changed = good().replace(from, to);
        assert_ne!(changed, good());
        assert!(judge(&changed).is_err(), "{from}");
    }
}

/// A comment is not signed, and a reader that stops at it sees another name (CVE-2017-11427 and its kin); a comment in a
/// digest has shown a verifier another digest (CVE-2025-29775).
#[test]
fn a_comment_anywhere_is_refused() {
    for (from, to) in [
        ("ann@example.com</saml:NameID>", "ann@example.com<!-- -->.evil.example</saml:NameID>"),
        ("ann@example.com</saml:AttributeValue>", "ann@<!-- -->example.com</saml:AttributeValue>"),
        ("<ds:DigestValue>", "<ds:DigestValue><!--x-->"),
        ("<samlp:Status>", "<?x y?><samlp:Status>"),
    ] {
        let changed = good().replace(from, to);
        assert_ne!(changed, good());
        assert_eq!(judge(&changed).err(), Some(Refusal::Comment), "{to}");
    }
    // Signed with the comment in it, the signature itself is right.
    let commented = assertion().replace("ann@example.com</saml:NameID>", "ann@example.com<!-- -->.evil</saml:NameID>");
    assert_eq!(judge(&envelope(&signed(&commented, "_assertion"))).err(), Some(Refusal::Comment));
}

/// Signatures that the right key made, of a form that could cover less than it seems (Core 5.4).
#[test]
fn a_signature_of_another_form_is_refused() {
    let sha1 = "http://www.w3.org/2000/09/xmldsig#sha1";
    let rsa = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    let second = "</ds:Reference><ds:Reference URI=\"#_response\"><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue></ds:DigestValue></ds:Reference>";
    let xpath = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>not(ancestor-or-self::saml:Subject)</ds:XPath></ds:Transform></ds:Transforms>";
    for (from, to, refusal) in [
        ("http://www.w3.org/2001/04/xmlenc#sha256", sha1, Refusal::Algorithm),
        (rsa, "http://www.w3.org/2000/09/xmldsig#rsa-sha1", Refusal::Algorithm),
        (rsa, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", Refusal::Algorithm),
        (rsa, "http://www.w3.org/2000/09/xmldsig#hmac-sha1", Refusal::Algorithm),
        (rsa, "http://www.w3.org/2000/09/xmldsig#dsa-sha1", Refusal::Algorithm),
        (rsa, "", Refusal::Algorithm),
        (rsa, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", Refusal::Signature),
        ("URI=\"#_assertion\"", "URI=\"\"", Refusal::SignatureForm),
        ("URI=\"#_assertion\"", "URI=\"#_response\"", Refusal::SignatureForm),
        ("URI=\"#_assertion\"", "URI=\"#xpointer(/)\"", Refusal::SignatureForm),
        ("URI=\"#_assertion\"", "URI=\"https://evil.example/\"", Refusal::SignatureForm),
        ("URI=\"#_assertion\"", "", Refusal::SignatureForm),
        ("</ds:Reference>", second, Refusal::SignatureForm),
        ("</ds:Transforms>", xpath, Refusal::SignatureForm),
        (names::ENVELOPED, "http://www.w3.org/TR/1999/REC-xslt-19991116", Refusal::SignatureForm),
        (
            "<ds:SignatureMethod ",
            "<ds:SignatureMethod xmlns:x=\"urn:x\" x:Algorithm=\"urn:y\" ",
            Refusal::SignatureForm,
        ),
        ("<ds:Reference ", "<ds:Reference xmlns:x=\"urn:x\" x:URI=\"#_response\" ", Refusal::SignatureForm),
        ("</ds:SignedInfo>", "<ds:Reference/></ds:SignedInfo>", Refusal::SignatureForm),
        ("</ds:Signature>", "<ds:Object/></ds:Signature>", Refusal::SignatureForm),
        ("<ds:Signature ", "<ds:Signature xmlns:x=\"urn:x\" x:Id=\"a\" ", Refusal::SignatureForm),
    ] {
        let changed = template("_assertion").replace(from, to);
        assert_ne!(changed, template("_assertion"), "{from}");
        // The form is judged first: whether the signature would be right does not matter.
        let xml = assertion().replace(SLOT, &changed);
        assert_eq!(judge(&envelope(&xml)).err(), Some(refusal), "{from} -> {to}");
    }
}

#[test]
fn no_signature_of_another_form_is_looked_at_beside_a_right_one() {
    let inner = signed(&assertion(), "_assertion");
    let file = template("_response").replace("URI=\"#_response\"", "URI=\"Cargo.toml\"");
    assert_eq!(judge(&response(&inner).replace(SLOT, &file)).err(), Some(Refusal::SignatureForm));
}

#[test]
fn the_same_element_twice_signed_is_refused() {
    let (whole, signature) = genuine();
    let twice = whole.replace(&signature, &format!("{signature}{signature}"));
    assert_eq!(judge(&envelope(&twice)).err(), Some(Refusal::SignatureForm));
}
