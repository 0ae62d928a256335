//! Keyset cursors: where the next page starts, signed for the search they were made for.
//!
//! A cursor holds nothing secret. The signature stops a caller from using it with another search,
//! or from making one up.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::iter::once;

const CONTEXT: &[u8] = b"fhir search cursor 1\0";
const POSITION: usize = 16;

/// The last row of a page: the next page starts after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The value sorted by, in microseconds since 1970.
    pub at: i64,
    /// The id, which breaks ties.
    pub id: i64,
}

/// Not a cursor, or not one for this search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not valid for this search")]
pub struct BadCursor;

/// The key that signs cursors, and the keys whose cursors are taken besides.
pub struct CursorKey {
    signs: hmac::Key,
    others: Vec<hmac::Key>,
}

impl CursorKey {
    /// A key from 32 secret bytes.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { signs: hmac::Key::new(hmac::HMAC_SHA256, secret), others: Vec::new() }
    }

    /// Takes what other keys signed: those before and after this one.
    #[must_use]
    pub fn accepting<'a>(mut self, others: impl Iterator<Item = &'a [u8; 32]>) -> Self {
        self.others.extend(others.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret)));
        self
    }

    /// Makes the cursor of a position in the search `filter`
    /// (see [`crate::search::filter_text`]; put who asks in front of it to bind it to them).
    #[must_use]
    pub fn seal(&self, filter: &str, position: &Position) -> String {
        let mut token = Vec::with_capacity(POSITION + 32);
        token.extend_from_slice(&position.at.to_be_bytes());
        token.extend_from_slice(&position.id.to_be_bytes());
        let tag = hmac::sign(&self.signs, &signed(&token, filter));
        token.extend_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Reads a cursor made for the same filter. The whole tag is compared in constant time.
    pub fn open(&self, filter: &str, token: &str) -> Result<Position, BadCursor> {
        // 48 bytes are 64 characters.
        if token.len() != 64 {
            return Err(BadCursor);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| BadCursor)?;
        let (position, tag) = bytes.split_at_checked(POSITION).ok_or(BadCursor)?;
        let signed = signed(position, filter);
        if !once(&self.signs).chain(&self.others).any(|key| hmac::verify(key, &signed, tag).is_ok()) {
            return Err(BadCursor);
        }
        let (at, id) = position.split_first_chunk::<8>().ok_or(BadCursor)?;
        let id = id.first_chunk::<8>().ok_or(BadCursor)?;
        Ok(Position { at: i64::from_be_bytes(*at), id: i64::from_be_bytes(*id) })
    }
}

/// Context and position have fixed lengths, so no two pairs give the same bytes.
fn signed(position: &[u8], filter: &str) -> Vec<u8> {
    [CONTEXT, position, filter.as_bytes()].concat()
}
