use std::sync::LazyLock;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::{EncodingKey, Header, encode};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;

use super::*;
use crate::signing::{KeyBits, generate_rsa_key};

/// A key pair of a client: what it signs with, and what it publishes.
pub(crate) struct Pair {
    key: EncodingKey,
    public: Value,
}

impl Pair {
    fn new(key: EncodingKey, algorithm: Algorithm, kid: &str) -> Self {
        let jwk = Jwk::from_encoding_key(&key, algorithm.of_library()).unwrap();
        let mut public = serde_json::to_value(jwk).unwrap();
        public["kid"] = json!(kid);
        public.as_object_mut().unwrap().remove("alg");
        Self { key, public }
    }

    pub(crate) fn rsa(kid: &str) -> Self {
        let pem = generate_rsa_key(KeyBits::B2048).unwrap();
        Self::new(EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes()).unwrap(), Algorithm::Rs256, kid)
    }

    pub(crate) fn p256(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self::new(EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()), Algorithm::Es256, kid)
    }

    pub(crate) fn p384(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        Self::new(EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()), Algorithm::Es384, kid)
    }

    pub(crate) fn sign(&self, algorithm: Algorithm, kid: Option<&str>, claims: &impl Serialize) -> String {
        let mut header = Header::new(algorithm.of_library());
        header.kid = kid.map(str::to_owned);
        encode(&header, claims, &self.key).unwrap()
    }

    /// A JWT whose header is this, whatever it says.
    pub(crate) fn sign_under(&self, header: &Value, algorithm: Algorithm, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = crypto::sign(message.as_bytes(), &self.key, algorithm.of_library()).unwrap();
        format!("{message}.{signature}")
    }

    pub(crate) fn public(&self) -> Value {
        self.public.clone()
    }
}

pub(crate) static RSA: LazyLock<Pair> = LazyLock::new(|| Pair::rsa("r"));
pub(crate) static P256: LazyLock<Pair> = LazyLock::new(|| Pair::p256("e"));
pub(crate) static P384: LazyLock<Pair> = LazyLock::new(|| Pair::p384("f"));

pub(crate) fn set(keys: &[Value]) -> KeySet {
    KeySet::from_value(&json!({ "keys": keys })).unwrap()
}

fn parse(keys: &Value) -> Result<KeySet, KeySetError> {
    KeySet::from_value(&json!({ "keys": keys }))
}

fn verifies(keys: &KeySet, algorithm: Algorithm, kid: Option<&str>, jwt: &str) -> bool {
    let (message, signature) = jwt.rsplit_once('.').unwrap();
    keys.verifies(algorithm, kid, message, signature)
}

#[test]
fn each_algorithm_is_checked_with_a_key_of_its_own_kind() {
    let keys = set(&[RSA.public(), P256.public(), P384.public()]);
    let pairs: [(&Pair, Algorithm); 4] =
        [(&RSA, Algorithm::Rs256), (&RSA, Algorithm::Rs384), (&P256, Algorithm::Es256), (&P384, Algorithm::Es384)];
    for (pair, algorithm) in pairs {
        let jwt = pair.sign(algorithm, None, &json!({ "a": 1 }));
        assert!(verifies(&keys, algorithm, None, &jwt), "{algorithm:?}");
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            assert!(!verifies(&keys, other, None, &jwt), "{algorithm:?} as {other:?}");
        }
        let mut forged = jwt.clone();
        forged.replace_range(2..3, if &jwt[2..3] == "x" { "y" } else { "x" });
        assert!(!verifies(&keys, algorithm, None, &forged), "{algorithm:?}");
        assert!(!verifies(&keys, algorithm, None, &format!("{}.", jwt.rsplit_once('.').unwrap().0)));
    }
}

#[test]
fn a_kid_names_the_keys_that_count() {
    let other = Pair::p256("old");
    let keys = set(&[other.public(), P256.public()]);
    let jwt = P256.sign(Algorithm::Es256, None, &json!({}));
    for (kid, good) in [(None, true), (Some("e"), true), (Some("old"), false), (Some("E"), false)] {
        assert_eq!(verifies(&keys, Algorithm::Es256, kid, &jwt), good, "{kid:?}");
    }
    assert!(keys.has("old") && !keys.has("new"));
}

#[test]
fn a_key_is_for_the_use_and_the_algorithm_that_it_names_rfc_7517_4() {
    let jwt = RSA.sign(Algorithm::Rs384, None, &json!({}));
    for (member, value, good) in [("alg", "RS384", true), ("alg", "RS256", false), ("use", "sig", true)] {
        let mut key = RSA.public();
        key[member] = json!(value);
        assert_eq!(verifies(&set(&[key]), Algorithm::Rs384, None, &jwt), good, "{member} {value}");
    }
    let mut key = RSA.public();
    key["use"] = json!("enc");
    assert_eq!(parse(&json!([key])).unwrap_err(), KeySetError::NoUsableKey);
}

#[test]
fn private_and_symmetric_keys_are_refused() {
    for member in SECRET_MEMBERS {
        let mut key = P256.public();
        key[member] = json!("AQAB");
        assert_eq!(parse(&json!([P384.public(), key])).unwrap_err(), KeySetError::Private, "{member}");
    }
    assert_eq!(parse(&json!([{ "kty": "oct", "k": "AQAB" }])).unwrap_err(), KeySetError::Private);
}

#[test]
fn only_usable_keys_are_kept_rfc_7517_5() {
    let unknown = json!({ "kty": "new", "x": "y" });
    assert!(parse(&json!([unknown, P256.public()])).is_ok());
    let mut small = RSA.public();
    small["n"] = json!(URL_SAFE_NO_PAD.encode([0xab; 128]));
    let mut broken = P256.public();
    broken["x"] = json!("!");
    for key in [unknown, small, broken, json!({ "kty": "RSA" }), json!(null), json!("x")] {
        assert_eq!(parse(&json!([key])).unwrap_err(), KeySetError::NoUsableKey, "{key}");
    }
}

#[test]
fn what_is_no_key_set_is_refused() {
    for text in ["", "{", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#] {
        assert_eq!(KeySet::parse(text).unwrap_err(), KeySetError::Malformed, "{text}");
    }
    let many = vec![P256.public(); MAX_KEYS + 1];
    assert_eq!(parse(&json!(many)).unwrap_err(), KeySetError::Malformed);
}

#[test]
fn names_round_trip() {
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
    }
    for other in ["none", "HS256", "PS256", "EdDSA", "rs256", ""] {
        assert_eq!(Algorithm::parse(other), None, "{other}");
    }
}
