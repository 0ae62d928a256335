//! Requests that come by way of `CloudFront`, and only those.
//!
//! An HTTP API has an address of its own on the internet, and no web ACL. Where the secret has an `origin_key`, `CloudFront`
//! sends it with each request, and whoever goes around it is refused (Amazon `CloudFront` developer guide, "Restrict access to
//! your origin"). The gateway then sees `CloudFront`'s address, and the caller's is what that added to `X-Forwarded-For`.

use crate::{App, Failure, RequestParts};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use secrets::Part;
use std::net::IpAddr;

/// Says the key.
const VERIFY: &str = "x-origin-verify";

/// Lists the addresses that a request came from, the last one last.
const FORWARDED: &str = "x-forwarded-for";

/// Lets a request pass that came the right way, and gives it its caller's address. What proved it is taken off.
pub(crate) async fn admit(app: &App, parts: &mut RequestParts) -> Result<(), Failure> {
    let secrets = app.secrets(Part::Origin).await?;
    if secrets.origin_keys.is_empty() {
        return Ok(());
    }
    if !is_proved(&secrets.origin_keys, &parts.headers) {
        return Err(Failure::Forbidden("Requests are taken at the address of the site only."));
    }
    parts.headers.remove(VERIFY);
    parts.source = caller(&parts.headers, parts.source);
    Ok(())
}

/// Whether the headers say one of the keys, once. All are compared, in constant time.
fn is_proved(keys: &[SecretString], headers: &HeaderMap) -> bool {
    let mut said = headers.get_all(VERIFY).iter();
    let (Some(said), None) = (said.next(), said.next()) else { return false };
    let matches = |key: &SecretString| verify_slices_are_equal(key.expose_secret().as_bytes(), said.as_bytes()).is_ok();
    keys.iter().fold(false, |found, key| found | matches(key))
}

/// The last address that is not the gateway's own peer. Whatever the caller wrote into the header stands before it.
fn caller(headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
    let lists = headers.get_all(FORWARDED).iter().rev().filter_map(|value| value.to_str().ok());
    let mut addresses = lists.flat_map(|list| list.rsplit(',')).map(|text| text.trim().parse::<IpAddr>().ok());
    addresses.find(|address| address.is_none() || *address != peer).flatten().or(peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_request_proves_by_one_of_the_keys_that_it_came_through() {
        let keys = ["new-key", "old-key"].map(SecretString::from);
        for (said, proved) in [
            (&["new-key"][..], true),
            (&["old-key"], true),
            (&[], false),
            (&[""], false),
            (&["new-ke"], false),
            (&["new-key "], false),
            (&["new-keys"], false),
            (&["other", "new-key"], false),
            (&["new-key", "new-key"], false),
        ] {
            assert_eq!(is_proved(&keys, &headers(VERIFY, said)), proved, "{said:?}");
        }
        assert!(!is_proved(&[], &headers(VERIFY, &[""])));
    }

    #[test]
    fn the_caller_is_who_the_proxy_says() {
        let peer: IpAddr = "198.51.100.7".parse().unwrap();
        for (lists, expected) in [
            (&[][..], "198.51.100.7"),
            (&["203.0.113.9, 198.51.100.7"], "203.0.113.9"),
            (&["203.0.113.9"], "203.0.113.9"),
            // What the caller sends comes first, and counts for nothing.
            (&["192.0.2.1, 203.0.113.9, 198.51.100.7"], "203.0.113.9"),
            (&["192.0.2.1", "203.0.113.9,198.51.100.7"], "203.0.113.9"),
            (&["2001:db8::1, 198.51.100.7"], "2001:db8::1"),
            (&["192.0.2.1, unknown, 198.51.100.7"], "198.51.100.7"),
            (&["198.51.100.7"], "198.51.100.7"),
            (&[""], "198.51.100.7"),
        ] {
            let found = caller(&headers(FORWARDED, lists), Some(peer));
            assert_eq!(found, Some(expected.parse().unwrap()), "{lists:?}");
        }
    }
}
