use std::sync::LazyLock;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::token::sha256;

static PEM: LazyLock<SecretString> = LazyLock::new(|| generate_rsa_key().unwrap());

fn key() -> SigningKey {
    SigningKey::from_pem(&PEM).unwrap()
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
    let jwks = serde_json::to_value(key().jwks()).unwrap();
    let modulus = URL_SAFE_NO_PAD.decode(jwks["keys"][0]["n"].as_str().unwrap()).unwrap();
    assert_eq!(modulus.len(), 256);
    assert_ne!(pem, generate_rsa_key().unwrap().expose_secret());
}

#[test]
fn the_key_set_shows_the_public_half_only_rfc_7517() {
    let jwks = serde_json::to_value(key().jwks()).unwrap();
    let jwk = jwks["keys"][0].as_object().unwrap();
    let mut names: Vec<&str> = jwk.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
    assert_eq!((&jwk["alg"], &jwk["use"], &jwk["kty"]), (&json!("RS256"), &json!("sig"), &json!("RSA")));
    assert_eq!(jwk["e"], "AQAB");
}

#[test]
fn the_key_id_is_the_thumbprint_rfc_7638_3() {
    let jwks = serde_json::to_value(key().jwks()).unwrap();
    let n = jwks["keys"][0]["n"].as_str().unwrap();
    let input = format!(r#"{{"e":"AQAB","kty":"RSA","n":"{n}"}}"#);
    assert_eq!(key().kid(), URL_SAFE_NO_PAD.encode(sha256(input.as_bytes())));
    assert_eq!(jwks["keys"][0]["kid"], key().kid());
}

#[test]
fn a_signature_verifies_with_the_published_key_rfc_7515() {
    let key = key();
    let jwt = key.sign(&json!({"sub": "10002"})).unwrap();
    let (signed, _) = jwt.expose().rsplit_once('.').unwrap();
    let header: Value = serde_json::from_slice(&part(jwt.expose(), 0)).unwrap();
    assert_eq!(header, json!({"typ": "JWT", "alg": "RS256", "kid": key.kid()}));
    assert_eq!(part(jwt.expose(), 1), br#"{"sub":"10002"}"#);

    let jwks = serde_json::to_value(key.jwks()).unwrap();
    let field = |name: &str| URL_SAFE_NO_PAD.decode(jwks["keys"][0][name].as_str().unwrap()).unwrap();
    let public = RsaPublicKeyComponents { n: field("n"), e: field("e") };
    let signature = part(jwt.expose(), 2);
    assert!(public.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).is_ok());
    let other = format!("{signed}x");
    assert!(public.verify(&RSA_PKCS1_2048_8192_SHA256, other.as_bytes(), &signature).is_err());
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
    assert_eq!(format!("{key:?}"), format!("SigningKey {{ kid: {:?}, .. }}", key.kid()));
}

#[test]
fn a_hint_is_a_token_of_this_key_and_issuer_even_when_it_expired_rp_initiated_logout_4() {
    let key = key();
    let claims = json!({ "iss": "https://e.example/o", "aud": "app", "sub": "7", "exp": 1, "iat": 1 });
    let sign = |changed: Value| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        key.sign(&claims).unwrap()
    };
    let hint = |token: &Secret| key.verify_hint(token.expose(), "https://e.example/o");
    let good = sign(json!({}));
    assert_eq!(hint(&good), Some(IdTokenHint { user: "7".to_owned(), client_id: "app".to_owned() }));
    assert_eq!(hint(&sign(json!({ "iss": "https://other.example/o" }))), None, "another issuer");
    assert_eq!(hint(&sign(json!({ "aud": null }))), None, "no audience");
    assert_eq!(hint(&sign(json!({ "sub": null }))), None, "nobody");
    let other = SigningKey::from_pem(&generate_rsa_key().unwrap()).unwrap();
    assert_eq!(other.verify_hint(good.expose(), "https://e.example/o"), None, "another key");
    let parts: Vec<&str> = good.expose().split('.').collect();
    let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), parts[1]);
    let symmetric = format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), parts[1], parts[2]);
    for forged in [unsigned.as_str(), symmetric.as_str(), "", "a.b.c", parts[1]] {
        assert_eq!(key.verify_hint(forged, "https://e.example/o"), None, "{forged}");
    }
}
