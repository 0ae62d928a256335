//! What a browser remembers while its person is at the identity provider.

use jiff::{SignedDuration, Timestamp};

/// How long a person may take there.
const LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// A request that waits for its answer. It lives in a signed cookie, so that asking changes nothing here, and so that only
/// the browser that asked can bring the answer (Profiles 4.1.5: no unsolicited responses).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The request's `ID`, which the answer repeats in `InResponseTo`.
    pub request_id: String,
    /// Where to go afterwards, on this site.
    pub next: String,
    /// Whether the person is to sign in anew (Core 3.4.1, `ForceAuthn`).
    pub anew: bool,
    expires_at: Timestamp,
}

impl Pending {
    /// A request that is made now. `random` is a fresh token of 256 bits.
    #[must_use]
    pub fn new(random: &str, next: &str, anew: bool, now: Timestamp) -> Self {
        // An identifier is an xs:ID, which may not begin with a digit (Core 1.3.4).
        Self { request_id: format!("_{random}"), next: next.to_owned(), anew, expires_at: now + LIFETIME }
    }

    /// Before when no sign-in does.
    #[must_use]
    pub fn not_before(&self) -> Option<Timestamp> {
        self.anew.then(|| self.expires_at - LIFETIME)
    }

    /// How long it waits, in seconds.
    #[must_use]
    pub const fn lifetime_seconds() -> i64 {
        LIFETIME.as_secs()
    }

    /// The text to be signed and kept.
    #[must_use]
    pub fn to_text(&self) -> String {
        let how = if self.anew { "anew" } else { "any" };
        format!("{} {} {how} {}", self.expires_at.as_second(), self.request_id, self.next)
    }

    /// Reads a text whose signature was right. None when it has lapsed.
    #[must_use]
    pub fn from_text(text: &str, now: Timestamp) -> Option<Self> {
        let mut parts = text.splitn(4, ' ');
        let (expires, request_id, how, next) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let expires_at = Timestamp::from_second(expires.parse().ok()?).ok()?;
        let (request_id, next) = (request_id.to_owned(), next.to_owned());
        (now < expires_at).then(|| Self { request_id, next, anew: how == "anew", expires_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_ten_minutes() {
        let now: Timestamp = "2026-11-22T01:00:00Z".parse().unwrap();
        let pending = Pending::new("abc", "/o/authorize/?a=b", true, now);
        let text = pending.to_text();
        assert_eq!(pending.request_id, "_abc");
        for (seconds, alive) in [(0, true), (599, true), (600, false), (10_000, false)] {
            let found = Pending::from_text(&text, now + SignedDuration::from_secs(seconds));
            assert_eq!(found, alive.then(|| pending.clone()), "{seconds}");
        }
        for text in ["", "1", "1 2", "1 2 any", "x _a any /", "99999999999999999999 _a any /"] {
            assert_eq!(Pending::from_text(text, now), None, "{text}");
        }
        assert_eq!(pending.not_before(), Some(now));
        let any = Pending::new("abc", "/", false, now);
        assert_eq!((Pending::from_text(&any.to_text(), now), any.not_before()), (Some(any.clone()), None));
    }
}
