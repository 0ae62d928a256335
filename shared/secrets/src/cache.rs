//! How long a secret from afar is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// After this a secret is read again, so that a rotation reaches every process.
pub(crate) const FRESH: Duration = Duration::from_mins(5);
/// After a failed reading the next is tried no sooner, so that requests do not all wait for it.
pub(crate) const RETRY: Duration = Duration::from_secs(30);
/// Up to this age a secret is used though it cannot be read again. Then nothing is answered.
pub(crate) const LIMIT: Duration = Duration::from_hours(1);

/// One value, its age and when to look again.
pub(crate) struct Cache<T>(Mutex<Option<Entry<T>>>);

struct Entry<T> {
    value: Arc<T>,
    read_at: Instant,
    next_read: Instant,
}

impl<T> Cache<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The value, read again if it is time. Callers at the same time wait for one reading.
    pub(crate) async fn get<E>(&self, now: Instant, read: impl AsyncFnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
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
