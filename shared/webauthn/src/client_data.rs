//! What the browser says of the ceremony (section 5.8.1): the part that the authenticator signs by its hash.

use crate::{Expected, Refusal};
use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;
use subtle::ConstantTimeEq;

/// The two ceremonies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ceremony {
    Create,
    Get,
}

impl Ceremony {
    const fn name(self) -> &'static str {
        match self {
            Self::Create => "webauthn.create",
            Self::Get => "webauthn.get",
        }
    }
}

#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    ceremony: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
    #[serde(rename = "topOrigin")]
    top_origin: Option<String>,
}

/// Judges the client data, and gives its hash (section 7.1 steps 5 to 11, section 7.2 steps 9 to 15).
pub(crate) fn judge(json: &[u8], ceremony: Ceremony, expected: &Expected<'_>) -> Result<[u8; 32], Refusal> {
    let data: ClientData = serde_json::from_slice(json).map_err(|_| Refusal::Malformed)?;
    if data.ceremony != ceremony.name() {
        return Err(Refusal::Type);
    }
    if !bool::from(sha256(data.challenge.as_bytes()).ct_eq(expected.challenge)) {
        return Err(Refusal::Challenge);
    }
    if data.origin != expected.party.origin() {
        return Err(Refusal::Origin);
    }
    // Our pages are in nobody's frame.
    if data.cross_origin || data.top_origin.is_some() {
        return Err(Refusal::CrossOrigin);
    }
    Ok(sha256(json))
}

/// SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    // SHA-256 always gives 32 bytes, so this copies all of them.
    for (to, from) in hash.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
        *to = *from;
    }
    hash
}
