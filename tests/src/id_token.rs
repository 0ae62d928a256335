//! `id_token`s, as a client checks them (OpenID Connect Core 1.0 section 3.1.3.7).

use crate::answer;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::StatusCode;
use serde_json::Value;

/// The key set that is served at a base URL.
pub async fn jwks(base: &str) -> Value {
    let (status, keys) = answer(reqwest::Client::new().get(format!("{base}/o/.well-known/jwks.json"))).await;
    assert_eq!(status, StatusCode::OK, "{keys}");
    keys
}

/// The key ids of a key set, in order.
#[must_use]
pub fn kids(jwks: &Value) -> Vec<&str> {
    jwks["keys"].as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("a kid")).collect()
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The key that a token says it was signed with.
#[must_use]
pub fn kid(token: &str) -> String {
    let header = token.split('.').next().and_then(decoded).expect("a header");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    assert_eq!(header["alg"], "RS256");
    header["kid"].as_str().expect("a kid").to_owned()
}

/// The claims of a token that verifies with the key of the set that it names.
#[must_use]
pub fn verified(token: &str, jwks: &Value) -> Option<Value> {
    let kid = kid(token);
    let key = jwks["keys"].as_array()?.iter().find(|key| key["kid"] == *kid)?;
    let part = |name: &str| decoded(key[name].as_str()?);
    let public = RsaPublicKeyComponents { n: part("n")?, e: part("e")? };
    let (signed, signature) = token.rsplit_once('.')?;
    public.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decoded(signature)?).ok()?;
    serde_json::from_slice(&decoded(signed.split('.').nth(1)?)?).ok()
}
