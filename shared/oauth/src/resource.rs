//! What a token is for: the resources that a client names (RFC 8707).
//!
//! This server has three names: its URL, the base of its FHIR API and that of its other API. A token for a base opens what is
//! below. Who names nothing means this server. Other resource servers are named by the URI that they are registered with.

use crate::error::{ErrorCode, OAuthError};
use crate::params::Params;

/// More resources than a request names.
const MAX_RESOURCES: usize = 8;
/// Longer than any URI of a resource.
const MAX_CHARACTERS: usize = 512;

/// The resources that a token is for. None named means this server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audience(Vec<String>);

impl Audience {
    /// What a request asks for (RFC 8707 2). That others than this server exist is for the caller to look up.
    pub fn asked(params: &Params) -> Result<Self, OAuthError> {
        Self::named_by(params, &["resource"])
    }

    /// What a request asks for by parameters of these names.
    pub(crate) fn named_by(params: &Params, names: &[&str]) -> Result<Self, OAuthError> {
        let mut uris: Vec<String> = Vec::new();
        for uri in names.iter().flat_map(|name| params.all(name)) {
            if !is_resource(uri) || uris.len() >= MAX_RESOURCES {
                return Err(Self::unknown());
            }
            if !uris.iter().any(|known| is_same(known, uri)) {
                uris.push(uri.to_owned());
            }
        }
        Ok(Self(uris))
    }

    /// What is stored.
    #[must_use]
    pub const fn of(uris: Vec<String>) -> Self {
        Self(uris)
    }

    /// What to store.
    #[must_use]
    pub fn uris(&self) -> &[String] {
        &self.0
    }

    /// The answer to who names a resource that cannot be had (RFC 8707 2).
    #[must_use]
    pub const fn unknown() -> OAuthError {
        OAuthError::new(ErrorCode::InvalidTarget, "A resource is not known here, or not what was granted.")
    }

    /// What is not of this server.
    pub fn elsewhere<'a>(&'a self, site_url: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(String::as_str).filter(|uri| Own::named(uri, site_url).is_none())
    }

    /// What a token is for that is asked for within a grant (RFC 8707 2.2): all that was granted when nothing is named. None
    /// when more is named than was granted.
    #[must_use]
    pub fn narrowed(&self, asked: &Self, site_url: &str) -> Option<Self> {
        if asked.0.is_empty() {
            return Some(self.clone());
        }
        let is_granted = |uri: &String| {
            let own = Own::named(uri, site_url);
            self.0.iter().any(|granted| is_same(granted, uri))
                || (own.is_some() && self.parts(site_url).any(|part| part == Own::Site || Some(part) == own))
        };
        asked.0.iter().all(is_granted).then(|| asked.clone())
    }

    /// Whether a token for this opens a path of this server.
    #[must_use]
    pub fn opens(&self, path: &str, site_url: &str) -> bool {
        let path = path.to_ascii_lowercase();
        let is_below =
            |base: &str| path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.parts(site_url).any(|part| match part {
            Own::Site => true,
            // What the user's own claims are asked with is any token of theirs for this server (OpenID Connect Core 5.3).
            Own::Fhir => is_below("/fhir/r5") || is_below("/fhir-import/r4") || is_below("/o"),
            Own::Rest => is_below("/api/v1") || is_below("/o"),
        })
    }

    /// Whether a token for this is for the resource server of that URI.
    #[must_use]
    pub fn is_for(&self, uri: &str, site_url: &str) -> bool {
        self.told(site_url).iter().any(|one| is_same(one, uri))
    }

    /// The value of `aud` (RFC 7662 2.2).
    #[must_use]
    pub fn told(&self, site_url: &str) -> Vec<String> {
        if self.0.is_empty() { vec![site_url.to_owned()] } else { self.0.clone() }
    }

    /// The parts of this server among the resources.
    fn parts(&self, site_url: &str) -> impl Iterator<Item = Own> {
        let whole = self.0.is_empty().then_some(Own::Site);
        whole.into_iter().chain(self.0.iter().filter_map(|uri| Own::named(uri, site_url)))
    }
}

/// What of this server a token is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    /// All of it.
    Site,
    /// The FHIR API.
    Fhir,
    /// The other API.
    Rest,
}

impl Own {
    fn named(uri: &str, site_url: &str) -> Option<Self> {
        match uri.strip_prefix(site_url)?.trim_end_matches('/') {
            "" => Some(Self::Site),
            "/FHIR/R5" | "/fhir/r5" => Some(Self::Fhir),
            "/api/v1" => Some(Self::Rest),
            _ => None,
        }
    }
}

/// Whether text can name a resource: an absolute URI without a fragment (RFC 8707 2).
#[must_use]
pub fn is_resource(uri: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b))
    };
    uri.len() <= MAX_CHARACTERS
        && uri.bytes().all(|b| b.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&b))
        && uri.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.trim_matches('/').is_empty())
}

/// A slash at the end makes no other resource.
fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

#[cfg(test)]
mod tests;
