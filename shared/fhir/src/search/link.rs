//! Links to a search as it was understood.

use std::fmt::Write as _;

/// `pairs` as a query string: what is not unreserved in RFC 3986, and not one of `:/,`, is escaped.
fn query_string(pairs: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        push_escaped(&mut text, name);
        text.push('=');
        push_escaped(&mut text, value);
    }
    text
}

fn push_escaped(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/,".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// The URL of a search: `url` has no query. With a cursor it is the page that starts there.
#[must_use]
pub fn link(url: &str, pairs: &[(String, String)], cursor: Option<&str>) -> String {
    let mut query = query_string(pairs);
    if let Some(cursor) = cursor {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str("_cursor=");
        push_escaped(&mut query, cursor);
    }
    if query.is_empty() { url.to_owned() } else { format!("{url}?{query}") }
}

/// What a cursor is bound to: the filters and the order, and not how much of them is shown.
#[must_use]
pub fn filter_text(resource_type: &str, pairs: &[(String, String)]) -> String {
    let shown = ["_count", "_total", "_summary"];
    let filters: Vec<(String, String)> =
        pairs.iter().filter(|(name, _)| !shown.contains(&name.as_str())).cloned().collect();
    format!("{resource_type}?{}", query_string(&filters))
}
