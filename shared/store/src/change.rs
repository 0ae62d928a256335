//! Changes of what somebody else may have changed meanwhile.

use jiff::Timestamp;

/// Which versions of a thing the caller wants to change, by the time of its last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is now.
    Any,
    /// One of these: none when the caller named none that could be.
    OneOf(Vec<Timestamp>),
}

impl Expected {
    /// The times, for `$n::timestamptz[] IS NULL OR last_updated = ANY ($n)`.
    #[must_use]
    pub fn times(&self) -> Option<&[Timestamp]> {
        match self {
            Self::Any => None,
            Self::OneOf(times) => Some(times),
        }
    }
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed<T = ()> {
    /// It was made.
    Done(T),
    /// The thing is another than the caller expected, and was left so.
    Stale,
    /// There is no such thing.
    Missing,
}
