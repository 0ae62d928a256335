//! Key sets of other parties, fetched from their URLs and kept for a while.

use oauth::{KeySet, keys::KeySetError, registration::is_fetchable};
use outbound::{Document, FetchError, Fetcher, Reach};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, OnceCell};

/// How long a key set is good. A key that its owner withdraws is trusted no longer than this.
const FRESH: Duration = Duration::from_mins(5);
/// How long nothing is fetched again, whatever key is asked for and however the last time ended: nobody can make us ask
/// another server more often.
const PAUSE: Duration = Duration::from_mins(1);
/// What is fetched. No key set is larger.
const DOCUMENT: Document = Document { accept: "application/json", max_bytes: 64 * 1024 };
/// How many URLs are remembered.
const MAX_URLS: usize = 200;

/// A key set cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeySetsError {
    /// The URL may not be fetched.
    #[error("the URL may not be fetched")]
    Url,
    /// The document cannot be fetched.
    #[error("the key set cannot be fetched")]
    Fetch(#[from] FetchError),
    /// The document is no usable key set.
    #[error("the key set is not usable")]
    Content(#[from] KeySetError),
    /// It could not be had a moment ago.
    #[error("the key set could not be had a moment ago")]
    Pause,
}

/// What came of the last fetch of a URL.
#[derive(Clone)]
struct Entry {
    at: Instant,
    keys: Option<Arc<KeySet>>,
}

impl Entry {
    /// What to answer without fetching; none when it is time to fetch.
    fn answer(&self, kid: Option<&str>, now: Instant) -> Option<Result<Arc<KeySet>, KeySetsError>> {
        let age = now.duration_since(self.at);
        match &self.keys {
            None if age < PAUSE => Some(Err(KeySetsError::Pause)),
            // A key that is not in the set yet may have been added since.
            Some(keys) if age < PAUSE || (age < FRESH && kid.is_none_or(|kid| keys.has(kid))) => Some(Ok(keys.clone())),
            _ => None,
        }
    }
}

/// The key sets of other parties that this process knows.
#[derive(Default)]
pub struct KeySets {
    fetcher: OnceCell<Fetcher>,
    known: Mutex<HashMap<String, Entry>>,
}

impl KeySets {
    /// The key set at a URL. `kid` is the key that is needed: if the set that is kept does not have it, the set is fetched
    /// again, but not more than once a minute.
    pub async fn get(&self, url: &str, kid: Option<&str>) -> Result<Arc<KeySet>, KeySetsError> {
        if !is_fetchable(url) {
            return Err(KeySetsError::Url);
        }
        if let Some(answer) = self.known.lock().await.get(url).and_then(|entry| entry.answer(kid, Instant::now())) {
            return answer;
        }
        let fetched = self.fetch(url).await;
        let entry = Entry { at: Instant::now(), keys: fetched.as_ref().ok().cloned() };
        let mut known = self.known.lock().await;
        if known.len() >= MAX_URLS {
            known.clear();
        }
        known.insert(url.to_owned(), entry);
        fetched
    }

    async fn fetch(&self, url: &str) -> Result<Arc<KeySet>, KeySetsError> {
        let fetcher = self.fetcher.get_or_try_init(|| async { Fetcher::new(Reach::Public, None) }).await?;
        let document = fetcher.get(url, DOCUMENT).await?;
        let text = str::from_utf8(&document).map_err(|_| KeySetError::Malformed)?;
        Ok(Arc::new(KeySet::parse(text)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a","use":"sig",
        "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

    #[test]
    fn a_set_is_kept_five_minutes_and_asked_for_again_for_a_new_key_once_a_minute() {
        let at = Instant::now();
        let keys = Some(Arc::new(KeySet::parse(SET).unwrap()));
        let entry = Entry { at, keys };
        for (seconds, kid, kept) in [
            (0, Some("a"), true),
            (59, Some("new"), true),
            (60, Some("new"), false),
            (60, Some("a"), true),
            (60, None, true),
            (299, Some("a"), true),
            (300, Some("a"), false),
        ] {
            let answer = entry.answer(kid, at + Duration::from_secs(seconds));
            assert_eq!(answer.is_some(), kept, "{seconds} {kid:?}");
        }
    }

    #[test]
    fn a_failure_is_not_tried_again_for_a_minute() {
        let at = Instant::now();
        let entry = Entry { at, keys: None };
        assert!(matches!(entry.answer(None, at + Duration::from_secs(59)), Some(Err(KeySetsError::Pause))));
        assert!(entry.answer(None, at + PAUSE).is_none());
    }

    #[tokio::test]
    async fn a_url_that_may_not_be_fetched_is_not() {
        for url in ["http://a.example/", "https://10.0.0.1/", "https://localhost/"] {
            assert!(matches!(KeySets::default().get(url, None).await, Err(KeySetsError::Url)), "{url}");
        }
    }
}
