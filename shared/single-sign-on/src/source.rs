//! Where the identity provider's metadata comes from, and how long it is kept.

use http::Uri;
use jiff::Timestamp;
use outbound::{Document, FetchError, Fetcher, Reach};
use saml::{IdentityProvider, Refusal};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use store::ConfigError;
use tokio::sync::Mutex;

/// How long metadata is used before it is read again.
const FRESH: Duration = Duration::from_hours(1);

/// How long it is used when it cannot be read again.
const STALE: Duration = Duration::from_hours(24);

/// How long to wait after a failure: every sign-in would wait for the next one.
const PAUSE: Duration = Duration::from_mins(1);

/// What is fetched.
const DOCUMENT: Document =
    Document { accept: "application/samlmetadata+xml, application/xml, text/xml", max_bytes: 1024 * 1024 };

/// Why there is no metadata.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// It cannot be fetched.
    #[error("the identity provider's metadata cannot be fetched")]
    Fetch(#[from] FetchError),
    /// The file cannot be read.
    #[error("the file with the identity provider's metadata cannot be read")]
    File(#[from] std::io::Error),
    /// It is not UTF-8.
    #[error("the identity provider's metadata is not text")]
    Encoding,
    /// It is not usable.
    #[error("the identity provider's metadata is not usable")]
    Content(#[from] Refusal),
    /// It says itself that it is too old.
    #[error("the identity provider's metadata has expired")]
    Expired,
    /// Reading it failed a moment ago.
    #[error("the identity provider's metadata could not be read a moment ago")]
    Paused,
}

/// Where the metadata is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    File(PathBuf),
    Url { url: Uri, authorities: Option<PathBuf> },
}

impl Place {
    /// Metadata names the keys that are believed: it has to come by TLS.
    pub(crate) fn url(url: Uri, authorities: Option<PathBuf>) -> Result<Self, ConfigError> {
        if url.scheme_str() == Some("https") && url.host().is_some() {
            Ok(Self::Url { url, authorities })
        } else {
            Err(ConfigError::Invalid("SAML_METADATA_URL", "use an https URL"))
        }
    }
}

/// The metadata of a process.
pub(crate) struct Source {
    place: Place,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    read: Option<(Instant, Arc<IdentityProvider>)>,
    failed: Option<Instant>,
}

impl Source {
    pub(crate) fn new(place: Place) -> Self {
        Self { place, state: Mutex::default() }
    }

    /// The identity provider. Requests that come at the same time wait for one reading. `at` is the same moment as `now`,
    /// by the clock that nobody sets.
    pub(crate) async fn get(&self, now: Timestamp, at: Instant) -> Result<Arc<IdentityProvider>, MetadataError> {
        let mut state = self.state.lock().await;
        let age = state.read.as_ref().map(|(read, _)| at.duration_since(*read));
        if age.is_none_or(|age| age > FRESH) {
            self.renew(&mut state, age, at).await?;
        }
        let (_, known) = state.read.as_ref().ok_or(MetadataError::Paused)?;
        if known.valid_until.is_some_and(|end| end <= now) {
            return Err(MetadataError::Expired);
        }
        Ok(Arc::clone(known))
    }

    /// Reads it again. A failure does not count while what is known is not too old.
    async fn renew(&self, state: &mut State, age: Option<Duration>, at: Instant) -> Result<(), MetadataError> {
        let usable = age.is_some_and(|age| age <= STALE);
        if state.failed.is_some_and(|failed| at.duration_since(failed) < PAUSE) {
            return if usable { Ok(()) } else { Err(MetadataError::Paused) };
        }
        match self.read().await {
            Ok(read) => {
                *state = State { read: Some((at, Arc::new(read))), failed: None };
                Ok(())
            }
            Err(error) => {
                state.failed = Some(at);
                if usable {
                    tracing::warn!(%error, "the metadata of before is used");
                    Ok(())
                } else {
                    Err(error)
                }
            }
        }
    }

    async fn read(&self) -> Result<IdentityProvider, MetadataError> {
        let text = match &self.place {
            Place::File(path) => read_file(path).await?,
            Place::Url { url, authorities } => fetch(url, authorities.as_deref()).await?,
        };
        Ok(IdentityProvider::from_metadata(&text)?)
    }
}

async fn read_file(path: &Path) -> Result<String, MetadataError> {
    Ok(tokio::fs::read_to_string(path).await?)
}

async fn fetch(url: &Uri, authorities: Option<&Path>) -> Result<String, MetadataError> {
    let bytes = Fetcher::new(Reach::Anywhere, authorities)?.get(&url.to_string(), DOCUMENT).await?;
    String::from_utf8(bytes.into()).map_err(|_| MetadataError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const METADATA: &str = include_str!("../../../tests/data/idp_metadata.xml");

    fn now() -> Timestamp {
        "2026-11-22T01:00:00Z".parse().unwrap()
    }

    #[tokio::test]
    async fn metadata_that_was_read_once_outlives_a_failure_for_a_day() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), METADATA).unwrap();
        let source = Source::new(Place::File(file.path().to_owned()));
        let start = Instant::now();
        let after = |hours| start + Duration::from_hours(hours);
        assert_eq!(source.get(now(), start).await.unwrap().entity_id, "https://idp.example/metadata");
        fs::write(file.path(), METADATA.replace("idp.example/metadata", "idp.example/new")).unwrap();
        assert_eq!(source.get(now(), after(1)).await.unwrap().entity_id, "https://idp.example/metadata");
        assert_eq!(source.get(now(), after(2)).await.unwrap().entity_id, "https://idp.example/new");
        fs::write(file.path(), "broken").unwrap();
        assert!(source.get(now(), after(26)).await.is_ok());
        assert!(matches!(source.get(now(), after(27)).await, Err(MetadataError::Content(_))));
        assert!(matches!(source.get(now(), after(27)).await, Err(MetadataError::Paused)));
        fs::write(file.path(), METADATA).unwrap();
        assert!(source.get(now(), after(28)).await.is_ok());
    }

    #[tokio::test]
    async fn metadata_may_come_from_a_private_address_because_a_setting_says_so() {
        // Nothing listens at port 0.
        let place = Place::url("https://127.0.0.1:0/".parse().unwrap(), None).unwrap();
        let tried = Source::new(place).get(now(), Instant::now()).await;
        assert!(matches!(tried, Err(MetadataError::Fetch(FetchError::Connection(_)))));
    }

    #[tokio::test]
    async fn metadata_is_not_used_after_its_own_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let ending = METADATA.replace("entityID=", "validUntil=\"2026-11-22T01:00:00Z\" entityID=");
        fs::write(file.path(), ending).unwrap();
        let source = Source::new(Place::File(file.path().to_owned()));
        let before = now() - jiff::SignedDuration::from_secs(1);
        assert!(source.get(before, Instant::now()).await.is_ok());
        assert!(matches!(source.get(now(), Instant::now()).await, Err(MetadataError::Expired)));
    }
}
