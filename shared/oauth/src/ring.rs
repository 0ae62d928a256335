//! The keys that sign `id_token`s: the current one, the next and the previous one, and when they move up.
//!
//! Processes do not see a new ring at the same time: each keeps what it read for a while. So a key is published long before
//! it signs and long after it did. Whoever has a ring of just before or just after another has all keys that sign by that
//! one. [`Pace`] keeps rotations so far apart that no two of them lie between a signature and its check.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::signing::{Jwks, PublicKey, SigningError};

/// How long others may keep the published key set, `Cache-Control: max-age`.
pub const JWKS_MAX_AGE: SignedDuration = SignedDuration::from_mins(5);

/// For clocks that differ, and for requests that take their time.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// How far apart rotations are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    period: SignedDuration,
    least: SignedDuration,
}

impl Pace {
    /// A rotation every `period`, for tokens that live as long as `token` and processes that use a ring no longer than
    /// `cache` after they read it. None when the period is too short for that.
    #[must_use]
    pub fn new(period: SignedDuration, token: SignedDuration, cache: SignedDuration) -> Option<Self> {
        let least = [token, cache, JWKS_MAX_AGE, MARGIN]
            .into_iter()
            .try_fold(SignedDuration::ZERO, SignedDuration::checked_add)?;
        (period >= least).then_some(Self { period, least })
    }

    /// What never passes between two rotations.
    #[must_use]
    pub const fn least(&self) -> SignedDuration {
        self.least
    }
}

/// Whether it is time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The keys move up.
    Rotate,
    /// It is due at this time.
    NotDue(Timestamp),
    /// Before this time a token could be without its key.
    TooEarly(Timestamp),
}

/// The keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring<K> {
    /// Names the ring, whatever keys are in it.
    pub id: String,
    /// Signs.
    pub current: K,
    /// Signs after the next rotation.
    pub next: K,
    /// Signed before the last rotation.
    pub previous: Option<K>,
    /// When the current key began to sign.
    pub rotated_at: Timestamp,
}

impl<K> Ring<K> {
    /// The first ring.
    #[must_use]
    pub const fn new(id: String, current: K, next: K, now: Timestamp) -> Self {
        Self { id, current, next, previous: None, rotated_at: now }
    }

    /// The keys to publish, the current one first.
    pub fn published(&self) -> impl Iterator<Item = &K> {
        [&self.current, &self.next].into_iter().chain(&self.previous)
    }

    /// Whether the keys move up now. `asked`: somebody wants them to before they are due.
    #[must_use]
    pub fn turn(&self, pace: &Pace, asked: bool, now: Timestamp) -> Turn {
        let after = |wait| self.rotated_at.checked_add(wait).unwrap_or(Timestamp::MAX);
        let (least, due) = (after(pace.least), after(pace.period));
        if now < least && asked {
            Turn::TooEarly(least)
        } else if now < due && !asked {
            Turn::NotDue(due)
        } else {
            Turn::Rotate
        }
    }

    /// The ring after a rotation.
    #[must_use]
    pub fn rotated(self, next: K, now: Timestamp) -> Self {
        Self { id: self.id, current: self.next, next, previous: Some(self.current), rotated_at: now }
    }
}

/// A key of the ring.
#[derive(Debug, Clone)]
pub struct RingKey {
    /// What is published.
    pub public: PublicKey,
    /// What signs.
    pub private: PrivateHalf,
    /// When it was made.
    pub made_at: Timestamp,
}

/// Where the private half of a key is.
#[derive(Debug, Clone)]
pub enum PrivateHalf {
    /// Here, in PEM.
    Pem(SecretString),
    /// In AWS KMS, under this ARN. It never leaves.
    Kms(String),
}

/// A text is not a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// The parser's own message is left out: it can quote a key.
    #[error("the signing keys are not a JSON object of id, rotated_at, current, next and previous")]
    Shape,
    /// A key is to have one private half.
    #[error("a signing key has not one of pem and kms")]
    PrivateHalf,
    /// A public key cannot be used.
    #[error(transparent)]
    Key(#[from] SigningError),
}

/// A key as it is kept. Its public half is there too, so that it is published without asking KMS or reading the private one.
#[derive(Serialize, Deserialize)]
struct KeptKey<P> {
    made_at: Timestamp,
    n: String,
    e: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pem: Option<P>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Kept<P> {
    id: String,
    rotated_at: Timestamp,
    current: KeptKey<P>,
    next: KeptKey<P>,
    previous: Option<KeptKey<P>>,
}

impl Ring<RingKey> {
    /// Reads a ring.
    pub fn parse(text: &SecretString) -> Result<Self, RingError> {
        let kept: Kept<SecretString> = serde_json::from_str(text.expose_secret()).map_err(|_| RingError::Shape)?;
        Ok(Self {
            id: kept.id,
            current: kept.current.try_into()?,
            next: kept.next.try_into()?,
            previous: kept.previous.map(TryInto::try_into).transpose()?,
            rotated_at: kept.rotated_at,
        })
    }

    /// The ring as it is kept.
    pub fn to_text(&self) -> Result<SecretString, RingError> {
        let kept = Kept {
            id: self.id.clone(),
            rotated_at: self.rotated_at,
            current: KeptKey::of(&self.current),
            next: KeptKey::of(&self.next),
            previous: self.previous.as_ref().map(KeptKey::of),
        };
        serde_json::to_string_pretty(&kept).map(SecretString::from).map_err(|_| RingError::Shape)
    }

    /// The document at `jwks_uri`.
    #[must_use]
    pub fn jwks(&self) -> Jwks<'_> {
        Jwks { keys: self.published().map(|key| &key.public).collect() }
    }
}

impl<'a> KeptKey<&'a str> {
    fn of(key: &'a RingKey) -> Self {
        let (pem, kms) = match &key.private {
            PrivateHalf::Pem(pem) => (Some(pem.expose_secret()), None),
            PrivateHalf::Kms(arn) => (None, Some(arn.clone())),
        };
        let (n, e) = (key.public.modulus().to_owned(), key.public.exponent().to_owned());
        Self { made_at: key.made_at, n, e, pem, kms }
    }
}

impl TryFrom<KeptKey<SecretString>> for RingKey {
    type Error = RingError;

    fn try_from(kept: KeptKey<SecretString>) -> Result<Self, RingError> {
        let private = match (kept.pem, kept.kms) {
            (Some(pem), None) => PrivateHalf::Pem(pem),
            (None, Some(arn)) => PrivateHalf::Kms(arn),
            _ => return Err(RingError::PrivateHalf),
        };
        Ok(Self { public: PublicKey::from_components(&kept.n, &kept.e)?, private, made_at: kept.made_at })
    }
}

#[cfg(test)]
mod tests;
