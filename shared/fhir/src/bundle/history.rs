use std::fmt::Write as _;

use crate::json::push_string;
use crate::observation::{Place, write_resource};

/// Writes the versions of one resource, a `Bundle` of type `history`, straight into its text. Each entry says which request made it.
pub struct HistoryBundle {
    out: String,
    empty: bool,
    next: Option<String>,
}

impl Default for HistoryBundle {
    fn default() -> Self {
        Self::new()
    }
}

impl HistoryBundle {
    /// A history without entries.
    #[must_use]
    pub fn new() -> Self {
        Self { out: String::from(r#"{"resourceType":"Bundle","type":"history""#), empty: true, next: None }
    }

    /// Links to the next page.
    pub fn next(&mut self, url: &str) {
        self.next = Some(url.to_owned());
    }

    /// Adds a version of a stored Observation. `base_url` has no slash at its end.
    pub fn observation(&mut self, base_url: &str, place: &Place, content: &str) {
        self.out.push_str(if self.empty { r#","entry":["# } else { "," });
        self.empty = false;
        let Place { id, version, last_updated, .. } = place;
        self.out.push_str(r#"{"fullUrl":"#);
        push_string(&mut self.out, &format!("{base_url}/Observation/{id}"));
        self.out.push_str(r#","resource":"#);
        write_resource(&mut self.out, place, content);
        // Writing to a String does not fail.
        let _ = if *version == 1 {
            self.out.write_str(r#","request":{"method":"POST","url":"Observation"},"response":{"status":"201""#)
        } else {
            write!(self.out, r#","request":{{"method":"PUT","url":"Observation/{id}"}},"response":{{"status":"200""#)
        };
        let _ = write!(self.out, r#","etag":"W/\"{version}\"","lastModified":"{last_updated}"}}}}"#);
    }

    /// Ends the page; `self_url` is the request as it was understood.
    #[must_use]
    pub fn finish(mut self, self_url: &str) -> String {
        if !self.empty {
            self.out.push(']');
        }
        self.out.push_str(r#","link":[{"relation":"self","url":"#);
        push_string(&mut self.out, self_url);
        self.out.push('}');
        if let Some(next) = self.next {
            self.out.push_str(r#",{"relation":"next","url":"#);
            push_string(&mut self.out, &next);
            self.out.push('}');
        }
        self.out.push_str("]}");
        self.out
    }
}
