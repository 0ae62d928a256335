//! Registrations, each with one thing wrong (section 7.1).

use super::*;
use crate::testing::{BE, BS, Device, ID, Key, UP, UV, bytes, expecting, int, map, text};
use proptest::prelude::*;
use serde_json::json;

fn judged(device: &Device, verified: bool) -> Result<NewCredential, Refusal> {
    expecting(verified, |expected| Registration::parse(&device.registration())?.judge(expected))
}

#[test]
fn a_key_of_each_kind_is_taken_with_what_has_to_be_kept() {
    for key in [Key::ed25519(), Key::p256(), Key::rsa()] {
        let cose = key.cose();
        let mut device = Device::new(key);
        device.flags = UP | UV | BE | BS;
        let expected = NewCredential { id: ID.to_vec(), key: cose, count: 5, backup_eligible: true, backed_up: true };
        assert_eq!(judged(&device, true), Ok(expected));
    }
}

#[test]
fn a_statement_of_attestation_is_not_read() {
    let mut device = Device::new(Key::p256());
    device.statement = map(&[(text("alg"), int(-7)), (text("sig"), bytes(&[1; 70])), (text("x5c"), vec![0x80])]);
    assert!(judged(&device, false).is_ok());
}

#[test]
fn extensions_are_read_over() {
    let mut device = Device::new(Key::p256());
    device.flags |= 0x80;
    device.rest = map(&[(text("credProtect"), int(2))]);
    assert!(judged(&device, false).is_ok());
    device.rest.push(0);
    assert_eq!(judged(&device, false), Err(Refusal::Malformed));
}

#[test]
fn extensions_that_are_no_map_are_refused() {
    let mut device = Device::new(Key::p256());
    device.flags |= 0x80;
    device.rest = bytes(&[0]);
    assert_eq!(judged(&device, false), Err(Refusal::Malformed));
}

#[test]
fn every_check_refuses_what_it_is_there_for() {
    type Change = fn(&mut Device);
    let table: [(Change, Refusal); 18] = [
        (|d| d.client_data["type"] = json!("webauthn.get"), Refusal::Type),
        (|d| d.client_data["challenge"] = json!("b3RoZXI"), Refusal::Challenge),
        (|d| d.client_data["origin"] = json!("https://evil.example"), Refusal::Origin),
        (|d| d.client_data["origin"] = json!("http://jhe.example"), Refusal::Origin),
        (|d| d.client_data["origin"] = json!("https://jhe.example:8443"), Refusal::Origin),
        (|d| d.client_data["origin"] = json!("https://a.jhe.example"), Refusal::Origin),
        (|d| d.client_data["crossOrigin"] = json!(true), Refusal::CrossOrigin),
        (|d| d.client_data["topOrigin"] = json!("https://evil.example"), Refusal::CrossOrigin),
        (|d| d.client_data["challenge"] = json!(null), Refusal::Malformed),
        (|d| d.client_data = json!([]), Refusal::Malformed),
        (|d| d.relying_party = "evil.example", Refusal::RelyingParty),
        (|d| d.flags = UV, Refusal::Presence),
        (|d| d.flags = UP, Refusal::Verification),
        (|d| d.flags = UP | UV | BS, Refusal::Backup),
        (|d| d.raw_id = vec![1], Refusal::Credential),
        (|d| d.rest = vec![0], Refusal::Malformed),
        (|d| d.cose = map(&[]), Refusal::Key),
        (|d| d.flags |= 0x80, Refusal::Malformed),
    ];
    for (at, (change, refusal)) in table.into_iter().enumerate() {
        let mut device = Device::new(Key::ed25519());
        change(&mut device);
        assert_eq!(judged(&device, true), Err(refusal), "change {at}");
    }
}

#[test]
fn without_verification_being_needed_a_touch_is_enough() {
    let mut device = Device::new(Key::p256());
    device.flags = UP;
    assert!(judged(&device, false).is_ok());
}

#[test]
fn a_key_that_is_none_or_of_another_kind_is_not_taken() {
    let x = bytes(&[1; 32]);
    let ed25519 = |algorithm, curve, x: &[u8]| {
        map(&[(int(1), int(1)), (int(3), int(algorithm)), (int(-1), int(curve)), (int(-2), x.to_vec())])
    };
    let rsa =
        |n: &[u8], e: &[u8]| map(&[(int(1), int(3)), (int(3), int(-257)), (int(-1), bytes(n)), (int(-2), bytes(e))]);
    let p256 = |x: &[u8], y: &[u8]| {
        map(&[(int(1), int(2)), (int(3), int(-7)), (int(-1), int(1)), (int(-2), bytes(x)), (int(-3), bytes(y))])
    };
    assert!(PublicKey::parse(&rsa(&[0xff; 256], &[1, 0, 1])).is_ok());
    for (cose, what) in [
        (ed25519(-8, 6, &bytes(&[1; 31])), "31 bytes"),
        (ed25519(-7, 6, &x), "another algorithm"),
        (ed25519(-8, 7, &x), "another curve"),
        (ed25519(-8, 6, &int(1)), "no bytes"),
        (p256(&[1; 32], &[1; 32]), "not on the curve"),
        (p256(&[0; 32], &[0; 32]), "nowhere"),
        (rsa(&[0xff; 128], &[1, 0, 1]), "1,024 bits"),
        (rsa(&[0xff; 513], &[1, 0, 1]), "more than 4,096 bits"),
        (rsa(&[0xfe; 256], &[1, 0, 1]), "an even modulus"),
        (rsa(&[0xff; 256], &[1]), "exponent 1"),
        (rsa(&[0xff; 256], &[2]), "an even exponent"),
        (rsa(&[0xff; 256], &[1, 0, 0, 0, 1]), "a long exponent"),
        (rsa(&[0xff; 256], &[]), "no exponent"),
        (map(&[(int(1), int(4)), (int(3), int(5))]), "a symmetric key"),
        (map(&[(int(1), int(1)), (int(1), int(1))]), "a label twice"),
        (map(&[(text("a"), int(1))]), "a label of text"),
        ([ed25519(-8, 6, &x), vec![0]].concat(), "something behind it"),
        (vec![], "nothing"),
    ] {
        assert_eq!(PublicKey::parse(&cose).err(), Some(Refusal::Key), "{what}");
    }
}

#[test]
fn what_is_cut_off_anywhere_is_refused() {
    let device = Device::new(Key::p256());
    let whole = device.attestation();
    for length in 0..whole.len() {
        let cut = device.registration_with(&whole[..length]);
        let refused = expecting(false, |expected| Registration::parse(&cut)?.judge(expected));
        assert_eq!(refused, Err(Refusal::Malformed), "{length}");
    }
}

#[test]
fn a_text_that_is_no_answer_is_refused() {
    for (text, refusal) in [
        (String::new(), Refusal::Malformed),
        ("{}".to_owned(), Refusal::Malformed),
        (r#"{"rawId":"!","clientDataJSON":"","attestationObject":""}"#.to_owned(), Refusal::Malformed),
        (" ".repeat(MAX_TEXT + 1), Refusal::TooLarge),
    ] {
        assert_eq!(Registration::parse(&text).err(), Some(refusal));
    }
    let twice = map(&[(text("authData"), bytes(&[])), (text("authData"), bytes(&[]))]);
    assert_eq!(authenticator_data(&twice), Err(Refusal::Malformed));
    assert_eq!(authenticator_data(&map(&[])), Err(Refusal::Malformed));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(object in proptest::collection::vec(any::<u8>(), 0..300), rest in ".{0,200}") {
        let device = Device::new(Key::ed25519());
        let sent = device.registration_with(&object);
        prop_assert!(expecting(false, |expected| Registration::parse(&sent)?.judge(expected)).is_err());
        if AuthenticatorData::parse(&object).is_ok() && object.len() != 37 {
            // Longer data is read only where the flags say that something follows.
            prop_assert!(object[32] & 0xc0 != 0);
        }
        prop_assert!(Registration::parse(&rest).is_err());
        let _ = PublicKey::parse(&object);
    }

    #[test]
    fn a_change_anywhere_is_seen_or_keeps_what_counts(at in 0_usize..200, bit in 0_u8..8) {
        let device = Device::new(Key::p256());
        let mut object = device.attestation();
        let at = at % object.len();
        object[at] ^= 1 << bit;
        let sent = device.registration_with(&object);
        if let Ok(credential) = expecting(true, |expected| Registration::parse(&sent)?.judge(expected)) {
            prop_assert_eq!(credential.id, ID);
        }
    }
}
