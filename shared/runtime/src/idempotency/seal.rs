//! Kept answers, encrypted: they can hold health data, and secrets that are told once.
//!
//! The key is made (HKDF, RFC 5869) of a secret of the functions and of the `Idempotency-Key`, which is stored as a hash only.

use crate::Response;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Salt},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use secrecy::zeroize::Zeroizing;
use store::KeyOwner;

/// What an answer says besides its body. The rest is of each answer its own: ids, times, who may read it.
const HEADERS: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::LOCATION,
    header::ETAG,
    header::LAST_MODIFIED,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
];

/// Encrypts and decrypts the answer to one request with one key.
pub(super) struct Seal {
    cipher: Option<RandomizedNonceKey>,
    bound_to: Vec<u8>,
}

impl Seal {
    /// Answers are bound to whose key it is and to what was asked.
    pub(super) fn new(secret: &[u8; 32], key: &str, owner: KeyOwner<'_>, fingerprint: &[u8; 32]) -> Self {
        let bound_to = [
            owner.actor.user.0.to_be_bytes().as_slice(),
            owner.actor.client.0.to_be_bytes().as_slice(),
            owner.key.as_bytes().as_slice(),
            fingerprint.as_slice(),
        ]
        .concat();
        Self { cipher: cipher(secret, key), bound_to }
    }

    /// An answer, encrypted with AES-256-GCM: the nonce, then the text. None when there is no randomness.
    pub(super) fn seal(&self, response: &Response) -> Option<Vec<u8>> {
        let headers: Vec<(&str, &str)> = HEADERS
            .iter()
            .filter_map(|name| Some((name.as_str(), response.headers().get(name)?.to_str().ok()?)))
            .collect();
        let mut text = serde_json::to_vec(&(response.status().as_u16(), headers)).ok()?;
        text.push(b'\n');
        text.extend_from_slice(response.body());
        let nonce = self.cipher.as_ref()?.seal_in_place_append_tag(Aad::from(&self.bound_to), &mut text).ok()?;
        Some([nonce.as_ref().as_slice(), &text].concat())
    }

    /// The answer. None when it was encrypted with other keys, or for another request.
    pub(super) fn open(&self, stored: &[u8]) -> Option<Response> {
        let (nonce, sealed) = stored.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let text = self.cipher.as_ref()?.open_in_place(nonce, Aad::from(&self.bound_to), &mut sealed).ok()?;
        // JSON in one line has no line break of its own.
        let end = text.iter().position(|byte| *byte == b'\n')?;
        let (head, body) = text.split_at_checked(end)?;
        let (status, headers): (u16, Vec<(String, String)>) = serde_json::from_slice(head).ok()?;
        let mut response = Response::new(Bytes::copy_from_slice(body.get(1..)?));
        *response.status_mut() = StatusCode::from_u16(status).ok()?;
        for (name, value) in headers {
            response.headers_mut().insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
        }
        Some(response)
    }
}

fn cipher(secret: &[u8; 32], key: &str) -> Option<RandomizedNonceKey> {
    // The secret has a fixed length, so no two pairs give the same bytes.
    let material = Zeroizing::new([secret.as_slice(), key.as_bytes()].concat());
    let derived = Salt::new(HKDF_SHA256, b"jhe idempotency-key").extract(&material);
    let mut bytes = Zeroizing::new([0_u8; 32]);
    derived.expand(&[b"answer"], HKDF_SHA256).ok()?.fill(bytes.as_mut_slice()).ok()?;
    RandomizedNonceKey::new(&AES_256_GCM, bytes.as_slice()).ok()
}
