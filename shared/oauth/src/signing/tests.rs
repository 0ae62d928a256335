use std::sync::LazyLock;

use aws_lc_rs::encoding::PublicKeyX509Der;
use serde_json::{Value, json};

use super::*;
use crate::token::sha256;

static PEM: LazyLock<SecretString> = LazyLock::new(|| generate_rsa_key(KeyBits::B2048).unwrap());

fn key() -> SigningKey {
    SigningKey::from_pem(&PEM).unwrap()
}

fn jwks() -> Value {
    serde_json::to_value(Jwks { keys: vec![key().public()] }).unwrap()
}

fn signed(key: &SigningKey, claims: &Value) -> Secret {
    let token = UnsignedToken::new(key.public(), claims).unwrap();
    token.signed(key.public(), &key.sign(&token).unwrap()).unwrap()
}

fn part(jwt: &str, at: usize) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(jwt.split('.').nth(at).unwrap()).unwrap()
}

#[test]
fn a_generated_key_is_pkcs8_pem_of_2048_bits() {
    let pem = PEM.expose_secret();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert!(pem.ends_with("\n-----END PRIVATE KEY-----\n"));
    assert!(pem.lines().all(|line| line.len() <= 64 && !line.is_empty()), "RFC 7468 2");
    let jwks = jwks();
    let modulus = URL_SAFE_NO_PAD.decode(jwks["keys"][0]["n"].as_str().unwrap()).unwrap();
    assert_eq!(modulus.len(), 256);
    assert_eq!(key().public().bits(), 2048);
    assert_ne!(pem, generate_rsa_key(KeyBits::B2048).unwrap().expose_secret());
}

#[test]
fn the_key_set_shows_the_public_half_only_rfc_7517() {
    let jwks = jwks();
    let jwk = jwks["keys"][0].as_object().unwrap();
    let mut names: Vec<&str> = jwk.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
    assert_eq!((&jwk["alg"], &jwk["use"], &jwk["kty"]), (&json!("RS256"), &json!("sig"), &json!("RSA")));
    assert_eq!(jwk["e"], "AQAB");
}

#[test]
fn the_key_id_is_the_thumbprint_rfc_7638_3() {
    let jwks = jwks();
    let n = jwks["keys"][0]["n"].as_str().unwrap();
    let input = format!(r#"{{"e":"AQAB","kty":"RSA","n":"{n}"}}"#);
    assert_eq!(key().public().kid(), URL_SAFE_NO_PAD.encode(sha256(input.as_bytes())));
    assert_eq!(jwks["keys"][0]["kid"], key().public().kid());
}

#[test]
fn a_signature_verifies_with_the_published_key_rfc_7515() {
    let key = key();
    let jwt = signed(&key, &json!({"sub": "10002"}));
    let (signed, _) = jwt.expose().rsplit_once('.').unwrap();
    let header: Value = serde_json::from_slice(&part(jwt.expose(), 0)).unwrap();
    assert_eq!(header, json!({"typ": "JWT", "alg": "RS256", "kid": key.public().kid()}));
    assert_eq!(part(jwt.expose(), 1), br#"{"sub":"10002"}"#);

    let jwks = jwks();
    let field = |name: &str| URL_SAFE_NO_PAD.decode(jwks["keys"][0][name].as_str().unwrap()).unwrap();
    let public = RsaPublicKeyComponents { n: field("n"), e: field("e") };
    let signature = part(jwt.expose(), 2);
    assert!(public.verify(&signature::RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).is_ok());
    let other = format!("{signed}x");
    assert!(public.verify(&signature::RSA_PKCS1_2048_8192_SHA256, other.as_bytes(), &signature).is_err());
}

#[test]
fn what_is_not_an_rsa_key_is_refused() {
    let cut = PEM.expose_secret().get(..400).unwrap();
    // A P-256 key in PKCS#8.
    let elliptic = "-----BEGIN PRIVATE KEY-----\n\
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\n\
        OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\n\
        1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G\n\
        -----END PRIVATE KEY-----\n";
    for pem in ["", "key", cut, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", elliptic] {
        assert_eq!(SigningKey::from_pem(&pem.into()).err(), Some(SigningError::Key));
    }
}

#[test]
fn debug_shows_the_key_id_only() {
    let key = key();
    assert_eq!(format!("{key:?}"), format!("SigningKey {{ kid: {:?}, .. }}", key.public().kid()));
}

#[test]
fn a_hint_is_a_token_of_this_key_and_issuer_even_when_it_expired_rp_initiated_logout_4() {
    let key = key();
    let claims = json!({ "iss": "https://e.example/o", "aud": "app", "sub": "7", "exp": 1, "iat": 1 });
    let sign = |changed: Value| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        signed(&key, &claims)
    };
    let hint = |token: &Secret| key.public().verify_hint(token.expose(), "https://e.example/o");
    let good = sign(json!({}));
    assert_eq!(hint(&good), Some(IdTokenHint { user: "7".to_owned(), client_id: "app".to_owned() }));
    assert_eq!(hint(&sign(json!({ "iss": "https://other.example/o" }))), None, "another issuer");
    assert_eq!(hint(&sign(json!({ "aud": null }))), None, "no audience");
    assert_eq!(hint(&sign(json!({ "sub": null }))), None, "nobody");
    let other = SigningKey::from_pem(&generate_rsa_key(KeyBits::B2048).unwrap()).unwrap();
    assert_eq!(other.public().verify_hint(good.expose(), "https://e.example/o"), None, "another key");
    let parts: Vec<&str> = good.expose().split('.').collect();
    let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), parts[1]);
    let symmetric = format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), parts[1], parts[2]);
    for forged in [unsigned.as_str(), symmetric.as_str(), "", "a.b.c", parts[1]] {
        assert_eq!(key.public().verify_hint(forged, "https://e.example/o"), None, "{forged}");
    }
}

#[test]
fn a_signature_by_another_key_or_of_another_text_is_never_given_out() {
    let (key, other) = (key(), SigningKey::from_pem(&generate_rsa_key(KeyBits::B2048).unwrap()).unwrap());
    let token = UnsignedToken::new(key.public(), &json!({"sub": "1"})).unwrap();
    let changed = UnsignedToken::new(key.public(), &json!({"sub": "2"})).unwrap();
    let mut cut = key.sign(&token).unwrap();
    cut.pop();
    for signature in [other.sign(&token).unwrap(), key.sign(&changed).unwrap(), cut, Vec::new()] {
        assert_eq!(token.signed(key.public(), &signature).err(), Some(SigningError::WrongSignature));
    }
    assert!(token.signed(key.public(), &key.sign(&token).unwrap()).is_ok());
}

#[test]
fn a_public_key_is_the_same_from_der_and_from_its_parts() {
    let key = key();
    let public = key.public();
    let der: PublicKeyX509Der<'static> = key.pair.public_key().as_der().unwrap();
    assert_eq!(&PublicKey::from_der(der.as_ref()).unwrap(), public);
    assert_eq!(&PublicKey::from_components(public.modulus(), public.exponent()).unwrap(), public);
    for (n, e) in [("", "AQAB"), ("AQAB", "AQAB"), ("?", "AQAB"), (public.modulus(), "?")] {
        assert_eq!(PublicKey::from_components(n, e).err(), Some(SigningError::PublicKey), "{n} {e}");
    }
    assert_eq!(PublicKey::from_der(b"none").err(), Some(SigningError::PublicKey));
}
