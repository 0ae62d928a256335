//! Uses of a credential, each with one thing wrong (section 7.2).

use super::*;
use crate::testing::{BE, BS, Device, ID, Key, OWNER, UP, UV, expecting};
use proptest::prelude::*;
use serde_json::json;

fn judged_as(device: &Device, sent: &str, verified: bool, names_owner: bool) -> Result<Use, Refusal> {
    let known = Known { owner: OWNER, key: &device.key.cose(), count: 4, backup_eligible: false };
    expecting(verified, |expected| Assertion::parse(sent)?.judge(expected, &known, names_owner))
}

fn judged(device: &Device) -> Result<Use, Refusal> {
    judged_as(device, &device.assertion(), true, true)
}

#[test]
fn a_credential_of_each_kind_signs_its_owner_in() {
    for key in [Key::ed25519(), Key::p256(), Key::rsa()] {
        let device = Device::in_use(key);
        assert_eq!(Assertion::parse(&device.assertion()).unwrap().id, ID);
        assert_eq!(judged(&device), Ok(Use { count: 5, backed_up: false }));
    }
}

#[test]
fn every_check_refuses_what_it_is_there_for() {
    type Change = fn(&mut Device);
    let table: [(Change, Refusal); 21] = [
        (|d| d.client_data["type"] = json!("webauthn.create"), Refusal::Type),
        (|d| d.client_data["type"] = json!("payment.get"), Refusal::Type),
        (|d| d.client_data["challenge"] = json!("b3RoZXI"), Refusal::Challenge),
        (|d| d.client_data["challenge"] = json!(""), Refusal::Challenge),
        (|d| d.client_data["origin"] = json!("https://evil.example"), Refusal::Origin),
        (|d| d.client_data["origin"] = json!("https://jhe.example.evil.example"), Refusal::Origin),
        (|d| d.client_data["crossOrigin"] = json!(true), Refusal::CrossOrigin),
        (|d| d.client_data["topOrigin"] = json!("https://jhe.example"), Refusal::CrossOrigin),
        (|d| d.relying_party = "example", Refusal::RelyingParty),
        (|d| d.flags = UV, Refusal::Presence),
        (|d| d.flags = UP, Refusal::Verification),
        (|d| d.flags = UP | UV | BS, Refusal::Backup),
        (|d| d.flags = UP | UV | BE, Refusal::Backup),
        (|d| d.flags = UP | UV | BE | BS, Refusal::Backup),
        (|d| d.owner = Some(&[8; 32]), Refusal::Owner),
        (|d| d.owner = Some(&[]), Refusal::Owner),
        (|d| d.owner = None, Refusal::Owner),
        (|d| d.count = 4, Refusal::Counter),
        (|d| d.count = 3, Refusal::Counter),
        (|d| d.count = 0, Refusal::Counter),
        (|d| d.rest = vec![0], Refusal::Malformed),
    ];
    for (at, (change, refusal)) in table.into_iter().enumerate() {
        let mut device = Device::in_use(Key::ed25519());
        change(&mut device);
        assert_eq!(judged(&device), Err(refusal), "change {at}");
    }
}

#[test]
fn who_is_known_already_need_not_be_named_and_touches_only() {
    let mut device = Device::in_use(Key::p256());
    (device.flags, device.owner) = (UP, None);
    assert!(judged_as(&device, &device.assertion(), false, false).is_ok());
    device.owner = Some(&[8; 32]);
    assert_eq!(judged_as(&device, &device.assertion(), false, false), Err(Refusal::Owner));
}

#[test]
fn another_key_signs_for_nobody_here() {
    for (other, own) in [
        (Key::ed25519(), Key::ed25519()),
        (Key::p256(), Key::p256()),
        (Key::rsa(), Key::rsa()),
        (Key::p256(), Key::rsa()),
    ] {
        let sent = Device::in_use(other).assertion();
        assert_eq!(judged_as(&Device::in_use(own), &sent, true, true), Err(Refusal::Signature));
    }
}

#[test]
fn what_was_signed_cannot_be_changed() {
    let device = Device::in_use(Key::p256());
    let sent: serde_json::Value = serde_json::from_str(&device.assertion()).unwrap();
    // The counter is the last part of the data: a higher one would pass every check but that of the signature.
    let mut data = device.data_in_use();
    data[36] = 200;
    let forged: serde_json::Value = serde_json::from_str(&device.assertion_with(&data)).unwrap();
    for part in ["authenticatorData", "signature"] {
        let mut mixed = sent.clone();
        mixed[part] = forged[part].clone();
        assert_eq!(judged_as(&device, &mixed.to_string(), true, true), Err(Refusal::Signature), "{part}");
    }
    let mut empty = sent;
    empty["signature"] = json!("");
    assert_eq!(judged_as(&device, &empty.to_string(), true, true), Err(Refusal::Signature));
}

#[test]
fn an_authenticator_that_does_not_count_says_zero_every_time() {
    let mut device = Device::in_use(Key::p256());
    device.count = 0;
    let known = |count| Known { owner: OWNER, key: &[], count, backup_eligible: false };
    let cose = device.key.cose();
    let judged = |count| {
        let known = Known { key: &cose, ..known(count) };
        expecting(true, |expected| Assertion::parse(&device.assertion())?.judge(expected, &known, true))
    };
    assert_eq!(judged(0), Ok(Use { count: 0, backed_up: false }));
    assert_eq!(judged(1), Err(Refusal::Counter));
}

#[test]
fn what_is_on_several_devices_stays_what_it_is() {
    let mut device = Device::in_use(Key::p256());
    let cose = device.key.cose();
    let known = Known { owner: OWNER, key: &cose, count: 4, backup_eligible: true };
    for (flags, expected) in [
        (UP | UV | BE, Ok(Use { count: 5, backed_up: false })),
        (UP | UV | BE | BS, Ok(Use { count: 5, backed_up: true })),
        (UP | UV, Err(Refusal::Backup)),
    ] {
        device.flags = flags;
        let sent = device.assertion();
        assert_eq!(expecting(true, |e| Assertion::parse(&sent)?.judge(e, &known, true)), expected, "{flags}");
    }
}

#[test]
fn no_new_credential_comes_with_a_use() {
    let mut device = Device::in_use(Key::p256());
    device.flags |= 0x40;
    device.rest = device.credential();
    assert_eq!(judged(&device), Err(Refusal::Malformed));
}

#[test]
fn a_text_that_is_no_answer_is_refused() {
    let right: serde_json::Value = serde_json::from_str(&Device::in_use(Key::ed25519()).assertion()).unwrap();
    for (name, value) in [
        ("rawId", json!("")),
        ("rawId", json!("A".repeat(1366))),
        ("rawId", json!("a=")),
        ("clientDataJSON", json!(null)),
        ("authenticatorData", json!("+")),
        ("signature", json!(7)),
        ("userHandle", json!("\u{e9}")),
    ] {
        let mut wrong = right.clone();
        wrong[name] = value;
        assert_eq!(Assertion::parse(&wrong.to_string()).err(), Some(Refusal::Malformed), "{name}");
    }
    assert_eq!(Assertion::parse(&" ".repeat(MAX_TEXT + 1)).err(), Some(Refusal::TooLarge));
}

proptest! {
    #[test]
    fn a_change_of_any_bit_is_seen(part in 0_usize..3, at in 0_usize..2000, bit in 0_u8..8) {
        let device = Device::in_use(Key::ed25519());
        let mut sent = Assertion::parse(&device.assertion()).unwrap();
        let bytes = [&mut sent.client_data, &mut sent.data, &mut sent.signature].into_iter().nth(part).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let known = Known { owner: OWNER, key: &device.key.cose(), count: 4, backup_eligible: false };
        prop_assert!(expecting(true, |expected| sent.judge(expected, &known, true)).is_err());
    }
}
