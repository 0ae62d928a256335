use super::*;
use crate::testing::{ACS, REQUEST, SLOT, SP, assertion, at, good, judge, judge_at, response, signed};
use proptest::prelude::*;

/// A response whose assertion was changed before it was signed.
fn with_assertion(from: &str, to: &str) -> String {
    let changed = assertion().replace(from, to);
    assert_ne!(changed, assertion(), "{from}");
    response(&signed(&changed, "_assertion")).replace(SLOT, "")
}

/// A response that was changed around its signed assertion.
fn with_response(from: &str, to: &str) -> String {
    let changed = good().replacen(from, to, 1);
    assert_ne!(changed, good(), "{from}");
    changed
}

#[test]
fn a_response_that_is_as_it_should_be_signs_somebody_in() {
    let found = judge(&good()).unwrap();
    assert_eq!(found.assertion_id, "_assertion");
    assert_eq!(found.name_id.value, "ann@example.com");
    assert_eq!(found.session_index.as_deref(), Some("s1"));
    assert_eq!(found.session_ends_at, None);
    assert_eq!(found.attributes, [("mail".to_owned(), "ann@example.com".to_owned())]);
    // The identifier is remembered until no clock could take the assertion any more.
    assert_eq!(crate::xml::write_time(found.lapses_at), at(360));
}

#[test]
fn a_signed_response_around_a_signed_assertion_is_as_good() {
    let inner = signed(&assertion(), "_assertion");
    assert!(judge(&signed(&response(&inner), "_response")).is_ok());
}

/// Profiles 4.1.4.3, Core 2.5.1: each of these is signed by the right key, and wrong.
#[test]
fn what_the_identity_provider_signed_for_somebody_else_is_refused() {
    let other = "https://other.example/";
    let end = format!("NotOnOrAfter=\"{}\"/></saml:SubjectConfirmation>", at(300));
    let conditions = format!("<saml:Conditions NotBefore=\"{}\" NotOnOrAfter=\"{}\">", at(0), at(300));
    for (from, to, refusal) in [
        (format!("<saml:Audience>{SP}"), format!("<saml:Audience>{other}"), Refusal::Audience),
        (format!("<saml:Audience>{SP}"), format!("<saml:Audience>{SP}x"), Refusal::Audience),
        (
            format!("<saml:AudienceRestriction><saml:Audience>{SP}</saml:Audience></saml:AudienceRestriction>"),
            String::new(),
            Refusal::Audience,
        ),
        (
            "</saml:AudienceRestriction>".to_owned(),
            format!(
                "</saml:AudienceRestriction><saml:AudienceRestriction><saml:Audience>{other}</saml:Audience></saml:AudienceRestriction>"
            ),
            Refusal::Audience,
        ),
        (
            "</saml:AudienceRestriction>".to_owned(),
            "</saml:AudienceRestriction><saml:Condition/>".to_owned(),
            Refusal::Condition,
        ),
        (format!("Recipient=\"{ACS}\""), format!("Recipient=\"{other}\""), Refusal::Recipient),
        (format!("Recipient=\"{ACS}\" "), String::new(), Refusal::Recipient),
        (names::BEARER.to_owned(), "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches".to_owned(), Refusal::Recipient),
        (format!("InResponseTo=\"{REQUEST}\""), "InResponseTo=\"_another\"".to_owned(), Refusal::Unsolicited),
        (format!("InResponseTo=\"{REQUEST}\" "), String::new(), Refusal::Unsolicited),
        ("<saml:Issuer>".to_owned(), "<saml:Issuer>https://evil.example/".to_owned(), Refusal::Issuer),
        (end.clone(), "/></saml:SubjectConfirmation>".to_owned(), Refusal::Expired),
        (end, format!("NotOnOrAfter=\"{}\"/></saml:SubjectConfirmation>", at(-60)), Refusal::Expired),
        (conditions.clone(), format!("<saml:Conditions NotOnOrAfter=\"{}\">", at(-60)), Refusal::Expired),
        (conditions, format!("<saml:Conditions NotBefore=\"{}\">", at(61)), Refusal::NotYetValid),
        (format!("IssueInstant=\"{}\"", at(0)), format!("IssueInstant=\"{}\"", at(61)), Refusal::NotYetValid),
        ("SessionIndex=\"s1\"".to_owned(), format!("SessionNotOnOrAfter=\"{}\"", at(0)), Refusal::Expired),
        (
            format!("<saml:AuthnStatement AuthnInstant=\"{}\" SessionIndex=\"s1\"/>", at(0)),
            String::new(),
            Refusal::Malformed,
        ),
        ("Version=\"2.0\"".to_owned(), "Version=\"1.1\"".to_owned(), Refusal::Malformed),
        ("<saml:NameID".to_owned(), "<saml:NameID>x</saml:NameID><saml:NameID".to_owned(), Refusal::Malformed),
    ] {
        assert_eq!(judge(&with_assertion(&from, &to)).err(), Some(refusal), "{from} -> {to}");
    }
}

#[test]
fn the_envelope_has_to_be_for_this_browser_and_this_address() {
    for (from, to, refusal) in [
        (format!("Destination=\"{ACS}\""), "Destination=\"https://other.example/\"".to_owned(), Refusal::Destination),
        (format!("Destination=\"{ACS}\" "), String::new(), Refusal::Destination),
        (format!("InResponseTo=\"{REQUEST}\">"), "InResponseTo=\"_another\">".to_owned(), Refusal::Unsolicited),
        (format!("InResponseTo=\"{REQUEST}\">"), ">".to_owned(), Refusal::Unsolicited),
        ("<saml:Issuer>".to_owned(), "<saml:Issuer>https://evil.example/".to_owned(), Refusal::Issuer),
        (names::SUCCESS.to_owned(), "urn:oasis:names:tc:SAML:2.0:status:Responder".to_owned(), Refusal::NotSuccessful),
        ("</samlp:Status>".to_owned(), "</samlp:Status><samlp:Status/>".to_owned(), Refusal::Malformed),
        ("samlp:Response".to_owned(), "samlp:LogoutResponse".to_owned(), Refusal::Malformed),
    ] {
        let changed = with_response(&from, &to).replace(
            "</samlp:Response>",
            if to.contains("Logout") { "</samlp:LogoutResponse>" } else { "</samlp:Response>" },
        );
        assert_eq!(judge(&changed).err(), Some(refusal), "{from} -> {to}");
    }
}

#[test]
fn time_moves_a_good_response_into_and_out_of_its_window() {
    for (seconds, refusal) in [
        (-61, Some(Refusal::NotYetValid)),
        (-60, None),
        (0, None),
        (359, None),
        (360, Some(Refusal::Expired)),
        (86_400, Some(Refusal::Expired)),
    ] {
        assert_eq!(judge_at(&good(), seconds).err(), refusal, "{seconds}");
    }
}

// ASVS 6.8.4
#[test]
fn where_a_new_sign_in_was_asked_for_an_old_one_does_not_do() {
    for (seconds, refused) in [(0, None), (-60, None), (-61, Some(Refusal::TooOld))] {
        let changed =
            assertion().replace(&format!("AuthnInstant=\"{}\"", at(0)), &format!("AuthnInstant=\"{}\"", at(seconds)));
        let sent = response(&signed(&changed, "_assertion")).replace(SLOT, "");
        assert!(judge(&sent).is_ok(), "{seconds}: any sign-in does where none was asked for");
        assert_eq!(crate::testing::judge_anew(&sent).err(), refused, "{seconds}");
    }
}

#[test]
fn the_time_of_the_sign_in_is_told_and_is_not_in_the_future() {
    assert_eq!(crate::xml::write_time(judge(&good()).unwrap().authenticated_at), at(0));
    let instant = format!("AuthnInstant=\"{}\"", at(0));
    let future = with_assertion(&instant, &format!("AuthnInstant=\"{}\"", at(61)));
    assert_eq!(judge(&future).err(), Some(Refusal::NotYetValid));
    assert_eq!(judge(&with_assertion(&instant, "")).err(), Some(Refusal::Malformed));
}

#[test]
fn an_encrypted_assertion_is_refused_by_name() {
    let encrypted = response("<saml:EncryptedAssertion/>").replace(SLOT, "");
    assert_eq!(judge(&encrypted).err(), Some(Refusal::Encrypted));
    let beside = with_response("</samlp:Status>", "</samlp:Status><saml:EncryptedAssertion/>");
    assert_eq!(judge(&beside).err(), Some(Refusal::Encrypted));
}

#[test]
fn what_is_no_response_is_refused() {
    let good = good();
    for (field, refusal) in [("%%%", Refusal::Malformed), ("", Refusal::Malformed), ("/w==", Refusal::Malformed)] {
        let identity_provider = crate::testing::identity_provider();
        let expectation = Expectation {
            identity_provider: &identity_provider,
            entity_id: SP,
            acs_url: ACS,
            request_id: REQUEST,
            not_before: None,
            now: crate::testing::now(),
        };
        assert_eq!(SignIn::judge(field, &expectation).err(), Some(refusal), "{field}");
    }
    assert_eq!(judge(&format!("{good}{}", " ".repeat(MAX_MESSAGE))).err(), Some(Refusal::TooLarge));
    assert_eq!(judge(&format!("<!DOCTYPE x [<!ENTITY a 'b'>]>{good}")).err(), Some(Refusal::Doctype));
}

proptest! {
    /// Whatever is done to the text of a good response, it is refused or it says the same.
    #[test]
    fn no_change_of_the_text_changes_who_is_signed_in(at in 0_usize..6000, with in "[ -~]{0,3}", cut in 0_usize..4) {
        let good = good();
        let start = at % good.len();
        let end = (start + cut).min(good.len());
        let changed = format!("{}{with}{}", &good[..start], &good[end..]);
        if let Ok(found) = judge(&changed) {
            let expected = judge(&good).unwrap();
            prop_assert_eq!(found, expected);
        }
    }
}
