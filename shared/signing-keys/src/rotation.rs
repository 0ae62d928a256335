//! Rotating the keys, in steps that can be cut off or done twice at any point.
//!
//! The document is replaced only by who saw what is there, so of two rotations at the same time one counts. A key in KMS that
//! no ring names, because a rotation was cut off, lost, or moved it out, is found by its tag and ended.

use crate::{
    KeysError, Source,
    kms::Kms,
    settings::{Kind, Settings},
};
use jiff::{SignedDuration, Timestamp};
use oauth::{
    Secret,
    ring::{PrivateHalf, Ring, RingKey, Turn},
    signing::{SigningKey, generate_rsa_key},
    token::sha256,
};
use runtime::App;
use secrets::{Version, hex};

/// A key that no ring names may be one that a rotation has just made. After this time it is not: no run takes as long.
const UNCLAIMED: SignedDuration = SignedDuration::from_hours(1);

/// A rotation to do, or not.
pub struct Rotator<'a> {
    app: &'a App,
    settings: Settings,
}

/// The ring that is there, as it was read just now.
pub struct Present {
    ring: Ring<RingKey>,
    version: Version,
}

impl Present {
    /// The key ids that are published, the current one first.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.ring.published().map(|key| key.public.kid())
    }
}

/// A key in KMS that nothing needs any more.
#[derive(Debug)]
pub struct Leftover(String);

impl<'a> Rotator<'a> {
    /// With the settings of a process.
    pub fn of(app: &'a App) -> Result<Self, KeysError> {
        Ok(Self { app, settings: Settings::of(app)? })
    }

    /// The ring, if there is one. From now on this process uses no older one.
    pub async fn present(&self) -> Result<Option<Present>, KeysError> {
        let source = Source::of(self.app)?;
        source.cache.forget().await;
        let Some(stored) = source.document.read().await? else { return Ok(None) };
        Ok(Some(Present { ring: Ring::parse(&stored.text)?, version: stored.version }))
    }

    /// Makes the first ring. False when somebody else was first.
    pub async fn begin(&self, now: Timestamp) -> Result<bool, KeysError> {
        // Whoever else makes the first ring at this time names it the same, so that what is left over of that is found.
        let id = match Source::of(self.app)?.document.name() {
            Some(name) => hex(&sha256(name.as_bytes())),
            None => Secret::generate()?.expose().to_owned(),
        };
        let (current, next) = (self.new_key(&id, now).await?, self.new_key(&id, now).await?);
        self.replace(None, &Ring::new(id, current, next, now)).await
    }

    /// Whether the keys move up now.
    #[must_use]
    pub fn turn(&self, present: &Present, asked: bool, now: Timestamp) -> Turn {
        present.ring.turn(&self.settings.pace, asked, now)
    }

    /// Moves the keys up. False when somebody else was first.
    pub async fn rotate(&self, present: Present, now: Timestamp) -> Result<bool, KeysError> {
        let next = self.new_key(&present.ring.id, now).await?;
        self.replace(Some(&present.version), &present.ring.rotated(next, now)).await
    }

    /// The keys in KMS that were made for this ring and are not in it.
    pub async fn leftovers(&self, present: &Present, now: Timestamp) -> Result<Vec<Leftover>, KeysError> {
        let in_ring: Vec<&str> = present.ring.published().filter_map(in_kms).collect();
        if in_ring.is_empty() && self.settings.kind != Kind::Kms {
            return Ok(Vec::new());
        }
        let made = Kms::of(self.app)?.made_for(&present.ring.id).await?;
        let unclaimed = |key: &crate::kms::Made| now.duration_since(key.at) > UNCLAIMED;
        let left = made.into_iter().filter(|key| unclaimed(key) && !in_ring.contains(&key.arn.as_str()));
        Ok(left.map(|key| Leftover(key.arn)).collect())
    }

    /// Ends a key that is left over.
    pub async fn end(&self, leftover: &Leftover) -> Result<(), KeysError> {
        Kms::of(self.app)?.end(&leftover.0).await
    }

    async fn replace(&self, seen: Option<&Version>, ring: &Ring<RingKey>) -> Result<bool, KeysError> {
        Ok(Source::of(self.app)?.document.replace(seen, &ring.to_text()?).await?)
    }

    async fn new_key(&self, ring: &str, now: Timestamp) -> Result<RingKey, KeysError> {
        let bits = self.settings.bits;
        let (public, private) = match self.settings.kind {
            Kind::Kms => {
                let (arn, public) = Kms::of(self.app)?.make(bits, ring, &self.app.settings.site_url).await?;
                (public, PrivateHalf::Kms(arn))
            }
            Kind::Pem => {
                // It takes seconds, which the requests of the same process must not wait for.
                let made = tokio::task::spawn_blocking(move || generate_rsa_key(bits)).await;
                let pem = made.map_err(|_| KeysError::CutOff)??;
                (SigningKey::from_pem(&pem)?.public().clone(), PrivateHalf::Pem(pem))
            }
        };
        Ok(RingKey { public, private, made_at: now })
    }
}

fn in_kms(key: &RingKey) -> Option<&str> {
    match &key.private {
        PrivateHalf::Kms(arn) => Some(arn),
        PrivateHalf::Pem(_) => None,
    }
}
