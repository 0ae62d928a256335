//! Versions of what can be changed: `ETag` in answers, `If-Match` in changes (RFC 9110 sections 8.8.3 and 13.1.1).

use crate::{Failure, Request, Response};
use http::{HeaderValue, header};
use jiff::Timestamp;
use store::Expected;

/// The response with the version of what it shows.
#[must_use]
pub fn versioned(mut response: Response, last_updated: Timestamp) -> Response {
    if let Ok(value) = HeaderValue::from_str(&tag(last_updated)) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// A thing changes when its row changes, and the row's time has microseconds.
fn tag(last_updated: Timestamp) -> String {
    format!("\"{}\"", last_updated.as_microsecond())
}

impl Request {
    /// The versions that the caller wants to change, by the header `If-Match`. A tag that is none of ours matches nothing.
    #[must_use]
    pub fn expected(&self) -> Expected {
        let values: Vec<&str> =
            self.headers().get_all(header::IF_MATCH).iter().map(|value| value.to_str().unwrap_or_default()).collect();
        if values.is_empty() || values == ["*"] {
            return Expected::Any;
        }
        Expected::OneOf(values.iter().flat_map(|value| value.split(',')).filter_map(instant).collect())
    }

    /// Refuses a condition on the version of what has none: no tag matches it.
    pub fn has_no_version(&self) -> Result<(), Failure> {
        if self.expected() == Expected::Any { Ok(()) } else { Err(Failure::Changed) }
    }
}

/// The instant in a tag. Weak tags are not compared (RFC 9110 section 13.1.1).
fn instant(tag: &str) -> Option<Timestamp> {
    let micros = tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok()?;
    Timestamp::from_microsecond(micros).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RequestParts;
    use http::{HeaderMap, Method};
    use std::collections::HashMap;

    fn expected(values: &[&str]) -> Expected {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        Request::from(RequestParts {
            method: Method::PATCH,
            path: "/".to_owned(),
            variables: HashMap::new(),
            query: String::new(),
            headers,
            body: bytes::Bytes::new(),
            source: None,
            id: "r".to_owned(),
        })
        .expected()
    }

    #[test]
    fn only_the_versions_that_were_read_are_changed() {
        let time: Timestamp = "2026-11-21T10:00:00.123456Z".parse().unwrap();
        let tag = tag(time);
        assert_eq!(expected(&[]), Expected::Any);
        assert_eq!(expected(&["*"]), Expected::Any);
        assert_eq!(expected(&[&tag]), Expected::OneOf(vec![time]));
        assert_eq!(expected(&["\"1\"", &tag]).times().map(<[_]>::len), Some(2));
        assert_eq!(expected(&[&format!("\"x\", {tag}")]), Expected::OneOf(vec![time]));
        for foreign in ["", "x", "\"x\"", "W/\"1\"", "1", "\"99999999999999999999\""] {
            assert_eq!(expected(&[foreign]), Expected::OneOf(Vec::new()), "{foreign}");
        }
    }
}
