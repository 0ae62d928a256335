use proptest::prelude::*;

use super::*;
use crate::keys::tests::{P256, P384, Pair, RSA};

const URL: &str = "https://e.example/FHIR/R5/Patient";
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A JSON object with members changed, or without them where the change is null.
fn changed(mut value: Value, changes: &Value) -> Value {
    for (name, change) in changes.as_object().unwrap() {
        match change {
            Value::Null => value.as_object_mut().unwrap().remove(name),
            other => value.as_object_mut().unwrap().insert(name.clone(), other.clone()),
        };
    }
    value
}

fn proof(pair: &Pair, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
    let mut jwk = pair.public();
    jwk.as_object_mut().unwrap().remove("kid");
    let header = changed(json!({ "typ": "dpop+jwt", "alg": algorithm.as_str(), "jwk": jwk }), header);
    // RFC 9449 7.1 has this pair of access token and `ath`.
    let ath = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";
    let all = json!({ "jti": "e1j3V_bKic8-LAEB", "htm": "GET", "htu": URL, "iat": 1000, "ath": ath });
    pair.sign_under(&header, algorithm, &changed(all, claims))
}

fn checked(jwt: &str, second: i64) -> Result<Proof, ProofError> {
    let token = Secret::presented(TOKEN);
    verify(jwt, &Presented { method: "GET", url: URL, access_token: Some(&token), now: at(second) })
}

#[test]
fn a_proof_shows_the_key_by_every_algorithm_that_is_offered() {
    for (pair, algorithm) in
        [(&*RSA, Algorithm::Rs256), (&*RSA, Algorithm::Rs384), (&*P256, Algorithm::Es256), (&*P384, Algorithm::Es384)]
    {
        let shown = checked(&proof(pair, algorithm, &json!({}), &json!({})), 1000).unwrap();
        let set = KeySet::from_value(&json!({ "keys": [pair.public()] })).unwrap();
        assert_eq!(Some(shown.key.as_str()), set.thumbprint().as_deref());
        assert_eq!(shown.expires_at, at(1060));
    }
}

#[test]
fn the_thumbprint_is_that_of_rfc_7638_and_rfc_9449_6_1() {
    let jwk = json!({
        "kty": "EC", "crv": "P-256",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    });
    let set = KeySet::from_value(&json!({ "keys": [jwk] })).unwrap();
    assert_eq!(set.thumbprint().as_deref(), Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"));
}

#[test]
fn a_claim_that_does_not_fit_the_request_proves_nothing_rfc_9449_4_3() {
    for (claims, expected) in [
        (json!({ "htm": "POST" }), ProofError::WrongRequest),
        (json!({ "htm": "get" }), ProofError::WrongRequest),
        (json!({ "htu": "https://e.example/FHIR/R5/Patient/" }), ProofError::WrongRequest),
        (json!({ "htu": "https://e.example/FHIR/R5/patient" }), ProofError::WrongRequest),
        (json!({ "htu": "http://e.example/FHIR/R5/Patient" }), ProofError::WrongRequest),
        (json!({ "htu": "https://e.example:8443/FHIR/R5/Patient" }), ProofError::WrongRequest),
        (json!({ "htu": "https://evil.example/FHIR/R5/Patient" }), ProofError::WrongRequest),
        (json!({ "htu": "https://e.example" }), ProofError::WrongRequest),
        (json!({ "htu": "/FHIR/R5/Patient" }), ProofError::WrongRequest),
        (json!({ "htu": "" }), ProofError::WrongRequest),
        (json!({ "ath": null }), ProofError::WrongToken),
        (json!({ "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEp" }), ProofError::WrongToken),
        (json!({ "jti": null }), ProofError::Malformed),
        (json!({ "jti": "" }), ProofError::Malformed),
        (json!({ "jti": "x".repeat(513) }), ProofError::Malformed),
        (json!({ "iat": null }), ProofError::Malformed),
        (json!({ "iat": "1000" }), ProofError::Malformed),
        (json!({ "iat": i64::MAX }), ProofError::WrongTime),
        (json!({ "iat": i64::MIN }), ProofError::WrongTime),
        (json!({ "htm": null }), ProofError::Malformed),
        (json!({ "htu": null }), ProofError::Malformed),
    ] {
        assert_eq!(checked(&proof(&P256, Algorithm::Es256, &json!({}), &claims), 1000), Err(expected), "{claims}");
    }
    for htu in ["https://e.example/FHIR/R5/Patient?name=x", "HTTPS://E.Example/FHIR/R5/Patient#x"] {
        assert!(checked(&proof(&P256, Algorithm::Es256, &json!({}), &json!({ "htu": htu })), 1000).is_ok(), "{htu}");
    }
}

#[test]
fn a_header_that_is_not_that_of_a_proof_proves_nothing_rfc_9449_4_3() {
    let private = changed(P256.public(), &json!({ "d": "AAAA" }));
    for (header, expected) in [
        (json!({ "typ": null }), ProofError::Malformed),
        (json!({ "typ": "JWT" }), ProofError::Malformed),
        (json!({ "alg": "none" }), ProofError::Malformed),
        (json!({ "alg": "HS256" }), ProofError::Malformed),
        (json!({ "crit": ["exp"] }), ProofError::Malformed),
        (json!({ "jwk": null }), ProofError::Malformed),
        (json!({ "jwk": private }), ProofError::Key),
        (json!({ "jwk": { "kty": "oct", "k": "AAAA" } }), ProofError::Key),
        (json!({ "jwk": {} }), ProofError::Key),
        (json!({ "jwk": RSA.public() }), ProofError::WrongSignature),
        (json!({ "jwk": Pair::p256("other").public() }), ProofError::WrongSignature),
        (json!({ "alg": "RS256" }), ProofError::WrongSignature),
    ] {
        assert_eq!(checked(&proof(&P256, Algorithm::Es256, &header, &json!({})), 1000), Err(expected), "{header}");
    }
}

#[test]
fn a_proof_is_good_for_a_minute_rfc_9449_11_1() {
    let jwt = proof(&P256, Algorithm::Es256, &json!({}), &json!({}));
    for (now, good) in [(989, false), (990, true), (1000, true), (1059, true), (1060, false), (5000, false)] {
        assert_eq!(checked(&jwt, now).is_ok(), good, "{now}");
    }
}

#[test]
fn an_id_is_unique_for_its_key_only() {
    let id = |pair: &Pair, algorithm, jti: &str| {
        checked(&proof(pair, algorithm, &json!({}), &json!({ "jti": jti })), 1000).unwrap().id
    };
    assert_eq!(id(&P256, Algorithm::Es256, "a"), id(&P256, Algorithm::Es256, "a"));
    assert_ne!(id(&P256, Algorithm::Es256, "a"), id(&P256, Algorithm::Es256, "b"));
    assert_ne!(id(&P256, Algorithm::Es256, "a"), id(&P384, Algorithm::Es384, "a"), "nobody uses up another's ids");
}

#[test]
fn a_thumbprint_is_32_bytes_in_base64url() {
    assert!(Thumbprint::parse(&"A".repeat(43)).is_some());
    for bad in ["", "A", &"A".repeat(42), &"A".repeat(44), &format!("{}=", "A".repeat(43)), &"+".repeat(43)] {
        assert_eq!(Thumbprint::parse(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn a_proof_that_is_changed_anywhere_proves_nothing(at_byte in 0_usize..2000, letter in "[A-Za-z0-9_-]") {
        let jwt = proof(&P256, Algorithm::Es256, &json!({}), &json!({}));
        let at_byte = at_byte % (jwt.len() - 1);
        let mut forged = jwt.clone();
        forged.replace_range(at_byte..=at_byte, &letter);
        prop_assert!(forged == jwt || checked(&forged, 1000).is_err());
    }

    #[test]
    fn no_input_panics(text in ".*") {
        let _ = checked(&text, 1000);
    }
}
