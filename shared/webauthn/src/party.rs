//! This site, as browsers and authenticators know it.

use aws_lc_rs::digest::{SHA256, digest};

/// A relying party (section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    id: String,
    origin: String,
}

impl RelyingParty {
    /// The relying party of a site: its host, and the one origin where it is served.
    #[must_use]
    pub fn of_site(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // The port is behind the last colon, unless that is inside the brackets of an IPv6 address.
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
        let default = if scheme == "https" { ":443" } else { ":80" };
        let origin = format!("{scheme}://{}", authority.strip_suffix(default).unwrap_or(&authority));
        Self { id: host.to_ascii_lowercase(), origin }
    }

    /// The id: a host name (section 5.1.2).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The origin of every page that may use credentials.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether the data of an authenticator are for this relying party.
    pub(crate) fn has_hash(&self, hash: &[u8]) -> bool {
        digest(&SHA256, self.id.as_bytes()).as_ref() == hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_known_by_its_host_and_served_at_one_origin() {
        for (url, id, origin) in [
            ("https://jhe.example", "jhe.example", "https://jhe.example"),
            ("https://JHE.example/", "jhe.example", "https://jhe.example"),
            ("https://jhe.example:443", "jhe.example", "https://jhe.example"),
            ("https://jhe.example:8443/path", "jhe.example", "https://jhe.example:8443"),
            ("http://localhost:8000", "localhost", "http://localhost:8000"),
            ("http://[::1]:8000", "[::1]", "http://[::1]:8000"),
            ("http://[::1]", "[::1]", "http://[::1]"),
        ] {
            let party = RelyingParty::of_site(url);
            assert_eq!((party.id(), party.origin()), (id, origin), "{url}");
        }
    }
}
