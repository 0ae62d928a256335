use crate::json::push_string;
use crate::observation::{Place, write_resource};

/// What comes before the entries.
const ENTRIES: &str = r#","entry":["#;

/// Writes a searchset straight into its text.
pub struct Searchset {
    out: String,
    empty: bool,
    counted: Option<u64>,
    next: Option<String>,
}

impl Default for Searchset {
    fn default() -> Self {
        Self::new()
    }
}

impl Searchset {
    /// A searchset without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(1024)
    }

    /// A searchset whose text will have about this many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut out = String::with_capacity(bytes);
        out.push_str(r#"{"resourceType":"Bundle","type":"searchset""#);
        out.push_str(ENTRIES);
        Self { out, empty: true, counted: None, next: None }
    }

    /// Says how many resources match, all pages together.
    pub fn total(&mut self, total: u64) {
        self.counted = Some(total);
    }

    /// Links to the next page.
    pub fn next(&mut self, url: &str) {
        self.next = Some(url.to_owned());
    }

    /// Adds a match whose resource is JSON text.
    pub fn entry(&mut self, full_url: &str, resource: &str) {
        self.open_entry(full_url);
        self.out.push_str(resource);
        self.close_entry();
    }

    /// Adds a stored Observation. `base_url` has no slash at its end.
    pub fn observation(&mut self, base_url: &str, place: &Place, content: &str) {
        self.open_entry(&format!("{base_url}/Observation/{}", place.id));
        write_resource(&mut self.out, place, content);
        self.close_entry();
    }

    fn open_entry(&mut self, full_url: &str) {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        self.out.push_str(r#"{"fullUrl":"#);
        push_string(&mut self.out, full_url);
        self.out.push_str(r#","resource":"#);
    }

    fn close_entry(&mut self) {
        self.out.push_str(r#","search":{"mode":"match"}}"#);
    }

    /// Ends the page of a search; `self_url` is the search as it was understood.
    ///
    /// A page without matches has `"entry":[]`. R5 says that arrays are not empty, and validators let
    /// this one pass; `jupyterhealth-client` reads `entry` of every page and fails without it.
    #[must_use]
    pub fn finish(mut self, self_url: &str) -> String {
        self.out.push(']');
        self.close(self_url)
    }

    /// Ends the page of an operation, of which nobody reads `entry` unless there is something: an empty one is left out.
    #[must_use]
    pub fn finish_operation(mut self, self_url: &str) -> String {
        if !self.empty {
            return self.finish(self_url);
        }
        self.out.truncate(self.out.len().saturating_sub(ENTRIES.len()));
        self.close(self_url)
    }

    fn close(mut self, self_url: &str) -> String {
        self.out.push_str(r#","link":[{"relation":"self","url":"#);
        push_string(&mut self.out, self_url);
        self.out.push('}');
        if let Some(next) = self.next {
            self.out.push_str(r#",{"relation":"next","url":"#);
            push_string(&mut self.out, &next);
            self.out.push('}');
        }
        self.out.push(']');
        if let Some(total) = self.counted {
            self.out.push_str(r#","total":"#);
            self.out.push_str(&total.to_string());
        }
        self.out.push('}');
        self.out
    }
}

/// A searchset of `_summary=count`: a total and no entries.
#[must_use]
pub fn count_only(self_url: &str, total: u64) -> String {
    let page = Searchset {
        out: String::from(r#"{"resourceType":"Bundle","type":"searchset""#),
        empty: true,
        counted: Some(total),
        next: None,
    };
    page.close(self_url)
}
