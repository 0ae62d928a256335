use super::*;
use crate::{
    ServiceProvider,
    redirect::address,
    testing::{ACS, IDP, KEY, OTHER, SLOT, SP, at, identity_provider, now, signed, signed_by},
};

const HERE: &str = "https://jhe.example/saml2/ls/";

fn order() -> String {
    format!(
        "<samlp:LogoutRequest xmlns:samlp=\"{}\" xmlns:saml=\"{}\" ID=\"_order\" Version=\"2.0\" IssueInstant=\"{}\" \
         Destination=\"{HERE}\" NotOnOrAfter=\"{}\"><saml:Issuer>{IDP}</saml:Issuer>{SLOT}<saml:NameID>ann</saml:NameID>\
         <samlp:SessionIndex>s1</samlp:SessionIndex></samlp:LogoutRequest>",
        names::PROTOCOL,
        names::ASSERTION,
        at(0),
        at(300)
    )
}

fn by_redirect(xml: &str) -> Result<SignOut, Refusal> {
    let url = address(HERE, Kind::Request, &xml.replace(SLOT, ""), Some("state"), &KEY).unwrap();
    SignOut::from_redirect(url.split_once('?').unwrap().1, &identity_provider(), HERE, now())
}

fn by_form(xml: &str) -> Result<SignOut, Refusal> {
    SignOut::from_form(Kind::Request, &STANDARD.encode(xml), Some("state"), &identity_provider(), HERE, now())
}

#[test]
fn an_order_names_the_person_and_the_sessions() {
    let expected = SignOut::Order(LogoutOrder {
        id: "_order".to_owned(),
        lapses_at: now() + SignedDuration::from_secs(360),
        name_id: NameId { value: "ann".to_owned(), ..NameId::default() },
        session_indexes: vec!["s1".to_owned()],
        relay_state: Some("state".to_owned()),
    });
    assert_eq!(by_redirect(&order()).unwrap(), expected);
    assert_eq!(by_form(&signed(&order(), "_order")).unwrap(), expected);
}

#[test]
fn an_order_of_somebody_else_or_of_another_time_is_refused() {
    for (from, to, refusal) in [
        (IDP.to_owned(), "https://evil.example/".to_owned(), Refusal::Issuer),
        (format!("<saml:Issuer>{IDP}</saml:Issuer>"), String::new(), Refusal::Issuer),
        (format!("Destination=\"{HERE}\""), "Destination=\"https://other.example/\"".to_owned(), Refusal::Destination),
        (format!("Destination=\"{HERE}\""), String::new(), Refusal::Destination),
        (format!("NotOnOrAfter=\"{}\"", at(300)), format!("NotOnOrAfter=\"{}\"", at(-60)), Refusal::Expired),
        (format!("IssueInstant=\"{}\"", at(0)), format!("IssueInstant=\"{}\"", at(61)), Refusal::NotYetValid),
        ("<saml:NameID>ann</saml:NameID>".to_owned(), "<saml:EncryptedID/>".to_owned(), Refusal::Encrypted),
        ("<saml:NameID>ann</saml:NameID>".to_owned(), String::new(), Refusal::Malformed),
        ("samlp:LogoutRequest".to_owned(), "samlp:LogoutResponse".to_owned(), Refusal::Malformed),
    ] {
        let changed = order().replace(&from, &to);
        assert_ne!(changed, order(), "{from}");
        assert_eq!(by_redirect(&changed).err(), Some(refusal), "{from} -> {to}");
        assert_eq!(by_form(&signed(&changed, "_order")).err(), Some(refusal), "{from} -> {to}");
    }
    let old = order().replace(&format!(" NotOnOrAfter=\"{}\"", at(300)), "").replace(&at(0), &at(-360));
    assert_eq!(by_redirect(&old).err(), Some(Refusal::Expired), "an order without an end lives five minutes");
}

#[test]
fn a_form_without_a_signature_of_its_own_is_refused() {
    assert_eq!(by_form(&order().replace(SLOT, "")).err(), Some(Refusal::Unsigned));
    assert_eq!(by_form(&signed_by(&order(), "_order", &OTHER)).err(), Some(Refusal::Signature));
}

#[test]
fn our_own_messages_are_read_by_the_other_side() {
    let provider =
        ServiceProvider { entity_id: SP, acs_url: ACS, logout_redirect_url: HERE, logout_post_url: HERE, key: &KEY };
    let to = identity_provider();
    let name = NameId { value: "a<b".to_owned(), format: Some("f\"".to_owned()), ..NameId::default() };
    let url = provider.ask_to_sign_out(&to, "_id", &name, Some("s&1"), now()).unwrap().unwrap();
    let sent = Redirected::open(url.strip_prefix("https://idp.example/slo?").unwrap(), &to.keys).unwrap();
    let document = xml::parse_message(&sent.xml).unwrap();
    let message = xml::root(&document, names::PROTOCOL, "LogoutRequest").unwrap();
    let read = read_order(&document, message, "_id".to_owned(), None, now()).unwrap();
    assert_eq!((read.name_id, read.session_indexes), (name, vec!["s&1".to_owned()]));

    let url = provider.answer_sign_out(&to, "_answer", "_order", Some("state"), now()).unwrap().unwrap();
    let sent = Redirected::open(url.strip_prefix("https://idp.example/slo?").unwrap(), &to.keys).unwrap();
    assert_eq!((sent.kind, sent.relay_state.as_deref()), (Kind::Response, Some("state")));
    let answered = sent.xml.replace(SP, IDP).replace("https://idp.example/slo", HERE);
    let url = address(HERE, Kind::Response, &answered, None, &KEY).unwrap();
    let answer = SignOut::from_redirect(url.split_once('?').unwrap().1, &to, HERE, now()).unwrap();
    assert_eq!(answer, SignOut::Answer(LogoutAnswer { in_response_to: "_order".to_owned(), succeeded: true }));

    let url = provider.ask_to_sign_in(&to, "_request", false, now()).unwrap();
    let sent = Redirected::open(url.strip_prefix("https://idp.example/sso?").unwrap(), &to.keys).unwrap();
    assert!(sent.xml.contains(&format!("AssertionConsumerServiceURL=\"{ACS}\"")), "{}", sent.xml);
    assert!(!sent.xml.contains("ForceAuthn"), "{}", sent.xml);
    // Core 3.4.1
    let url = provider.ask_to_sign_in(&to, "_request", true, now()).unwrap();
    let sent = Redirected::open(url.strip_prefix("https://idp.example/sso?").unwrap(), &to.keys).unwrap();
    assert!(sent.xml.contains(" ForceAuthn=\"true\""), "{}", sent.xml);
    assert!(xml::parse_message(&provider.metadata().unwrap()).is_ok());
}
