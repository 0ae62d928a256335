//! How long a secret from afar is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// After this a secret is read again, so that a rotation reaches every process.
pub const FRESH: Duration = Duration::from_mins(5);
/// After a failed reading the next is tried no sooner, so that requests do not all wait for it.
pub(crate) const RETRY: Duration = Duration::from_secs(30);
/// Up to this age a secret is used though it cannot be read again. Then nothing is answered.
pub const LIMIT: Duration = Duration::from_hours(1);

/// One value, its age and when to look again. Nobody sees a value that is older than [`LIMIT`].
pub struct Cache<T>(Mutex<Option<Entry<T>>>);

struct Entry<T> {
    value: Arc<T>,
    read_at: Instant,
    next_read: Instant,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Cache<T> {
    /// With nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Reads the value again at the next use, however young it is.
    pub async fn forget(&self) {
        *self.0.lock().await = None;
    }

    /// Reads the value again at the next use: what it opens was refused. Not if it was read a moment ago, so that a wrong
    /// value is not read with every request.
    pub async fn doubt(&self, now: Instant) {
        if let Some(entry) = self.0.lock().await.as_mut()
            && now.saturating_duration_since(entry.read_at) >= RETRY
        {
            entry.next_read = now;
        }
    }

    /// The value, read again if it is time. Callers at the same time wait for one reading.
    pub async fn get<E>(&self, now: Instant, read: impl AsyncFnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut slot = self.0.lock().await;
        if let Some(entry) = slot.as_ref().filter(|entry| now < entry.next_read) {
            return Ok(Arc::clone(&entry.value));
        }
        match read().await {
            Ok(value) => {
                let value = Arc::new(value);
                *slot = Some(Entry { value: Arc::clone(&value), read_at: now, next_read: now + FRESH });
                Ok(value)
            }
            Err(error) => match slot.as_mut() {
                Some(entry) if now.saturating_duration_since(entry.read_at) < LIMIT => {
                    // Never past the limit: then the next call must try, and fail if it has to.
                    entry.next_read = (now + RETRY).min(entry.read_at + LIMIT);
                    Ok(Arc::clone(&entry.value))
                }
                _ => {
                    *slot = None;
                    Err(error)
                }
            },
        }
    }
}

#[cfg(test)]
mod tests;
