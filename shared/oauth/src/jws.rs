//! Signed JWTs of other parties, as somebody presents them (RFC 7515 7.1, RFC 7519). Nothing in one is proved before its
//! signature is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::keys::{Algorithm, KeySet};

/// Longer than any JWT that holds what it needs.
const MAX_CHARACTERS: usize = 8 * 1024;
/// Longer than any `jti` or `kid`.
pub(crate) const MAX_ID: usize = 512;

/// A JWT with claims of one kind.
#[derive(Clone)]
pub(crate) struct Jws<T> {
    message: String,
    signature: String,
    algorithm: Algorithm,
    kid: Option<String>,
    kind: Option<String>,
    /// What it says.
    pub(crate) claims: T,
}

/// The header (RFC 7515 4.1). `crit` names extensions that must be understood; we know none.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
}

impl<T: DeserializeOwned> Jws<T> {
    /// Reads a compact JWS by an algorithm that is offered. A claim that comes twice is an error.
    pub(crate) fn parse(jwt: &str) -> Option<Self> {
        if jwt.len() > MAX_CHARACTERS {
            return None;
        }
        let (message, signature) = jwt.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header: Header = decoded(header)?;
        if header.crit.is_some() || !header.kid.as_deref().is_none_or(is_id) {
            return None;
        }
        Some(Self {
            message: message.to_owned(),
            signature: signature.to_owned(),
            algorithm: Algorithm::parse(&header.alg)?,
            kid: header.kid,
            kind: header.typ,
            claims: decoded(claims)?,
        })
    }
}

impl<T> Jws<T> {
    /// The id of the key that it names.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What it says to be, `typ`.
    pub(crate) fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// What is signed: the same for every form that the signature can be written in.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whether one of the keys signed it.
    pub(crate) fn is_by(&self, keys: &KeySet) -> bool {
        keys.verifies(self.algorithm, self.kid(), &self.message, &self.signature)
    }
}

/// Whether text can be an id.
pub(crate) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ID
}

/// `aud`: one text, or a list (RFC 7519 4.1.3).
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Recipients {
    One(String),
    Many(Vec<String>),
}

impl Recipients {
    /// The only one, if there is just one.
    pub(crate) fn sole(&self) -> Option<&str> {
        match self {
            Self::One(one) => Some(one),
            Self::Many(many) => match many.as_slice() {
                [one] => Some(one),
                _ => None,
            },
        }
    }
}

fn decoded<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
