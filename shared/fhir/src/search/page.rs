//! What every search takes: how many, how much of them, and where to go on.

use crate::Rejection;
use crate::primitive::uri_fault;
use crate::search::{DateBounds, Handling};

/// Resources per page when the caller does not say.
pub const DEFAULT_COUNT: u16 = 20;

/// The most resources per page; more is understood as this.
pub const MAX_COUNT: u16 = 1_000;

const MAX_CURSOR: usize = 256;

/// A filter on `meta.source` (<https://hl7.org/fhir/R5/search.html#_source>).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceFilter {
    /// `_source`: exactly this.
    Is(String),
    /// `_source:below`: this, or starting with it.
    Below(String),
}

impl SourceFilter {
    /// What is asked.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Is(asked) | Self::Below(asked) => asked,
        }
    }

    /// Whether a resource of this source matches.
    #[must_use]
    pub fn matches(&self, source: &str) -> bool {
        match self {
            Self::Is(asked) => source == asked,
            Self::Below(asked) => source.starts_with(asked.as_str()),
        }
    }
}

/// What every search takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// `_count`: resources per page, 1 to [`MAX_COUNT`].
    pub count: u16,
    /// `_summary=count` or `_count=0`: only how many there are.
    pub summary_count: bool,
    /// `_total=accurate`.
    pub total_accurate: bool,
    /// `_cursor`: where the page starts, not verified yet.
    pub cursor: Option<String>,
    /// `_source` and `_source:below`; all must match.
    pub sources: Vec<SourceFilter>,
    /// `_lastUpdated`.
    pub last_updated: DateBounds,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            count: DEFAULT_COUNT,
            summary_count: false,
            total_accurate: false,
            cursor: None,
            sources: Vec::new(),
            last_updated: DateBounds::default(),
        }
    }
}

impl Page {
    /// Whether resources of this source are asked for.
    #[must_use]
    pub fn wants_source(&self, source: &str) -> bool {
        self.sources.iter().all(|filter| filter.matches(source))
    }

    /// Takes a parameter if it is one of these; false when it is not.
    pub(super) fn take(&mut self, name: &str, value: &str, handling: Handling) -> Result<bool, Rejection> {
        match name {
            "_lastUpdated" => self.last_updated.add(name, value)?,
            "_count" => self.set_count(value)?,
            "_summary" => self.set_summary(value, handling)?,
            "_total" => self.set_total(value)?,
            "_format" => format(value)?,
            "_cursor" => self.set_cursor(value)?,
            "_source" => self.sources.push(SourceFilter::Is(uri(name, value)?)),
            "_source:below" => self.sources.push(SourceFilter::Below(uri(name, value)?)),
            "_page" => {
                return Err(Rejection::parameter_not_supported(
                    "Search parameter _page is not supported: follow the link with the relation next".to_owned(),
                ));
            }
            _ => return Ok(false),
        }
        self.sources.sort_unstable();
        Ok(true)
    }

    fn set_count(&mut self, value: &str) -> Result<(), Rejection> {
        if value.is_empty() || value.len() > 20 || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Rejection::parameter("_count", "must be a number that is not negative"));
        }
        let count = value.parse().unwrap_or(MAX_COUNT).min(MAX_COUNT);
        if count == 0 {
            self.summary_count = true;
        } else {
            self.count = count;
        }
        Ok(())
    }

    fn set_summary(&mut self, value: &str, handling: Handling) -> Result<(), Rejection> {
        match value {
            "count" => {
                self.summary_count = true;
                Ok(())
            }
            "false" => Ok(()),
            // R5 lets a server answer with more than the summary.
            "true" | "text" | "data" if handling == Handling::Lenient => Ok(()),
            "true" | "text" | "data" => {
                Err(Rejection::parameter_not_supported("Search parameter _summary supports count and false".to_owned()))
            }
            _ => Err(Rejection::parameter("_summary", "must be count or false")),
        }
    }

    fn set_total(&mut self, value: &str) -> Result<(), Rejection> {
        match value {
            "accurate" => self.total_accurate = true,
            // An estimate may be left out.
            "none" | "estimate" => {}
            _ => {
                return Err(Rejection::parameter("_total", "must be none, estimate or accurate"));
            }
        }
        Ok(())
    }

    fn set_cursor(&mut self, value: &str) -> Result<(), Rejection> {
        let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if value.is_empty() || value.len() > MAX_CURSOR || !plain {
            return Err(Rejection::parameter("_cursor", "must come from a link of this server"));
        }
        self.cursor = Some(value.to_owned());
        Ok(())
    }

    /// The parameters that say the same.
    pub(super) fn pairs(&self, pairs: &mut Vec<(String, String)>) {
        let mut add = |name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
        for source in &self.sources {
            match source {
                SourceFilter::Is(uri) => add("_source", uri),
                SourceFilter::Below(uri) => add("_source:below", uri),
            }
        }
        for bound in self.last_updated.asked() {
            add("_lastUpdated", bound);
        }
        if self.count != DEFAULT_COUNT {
            add("_count", &self.count.to_string());
        }
        if self.summary_count {
            add("_summary", "count");
        }
        if self.total_accurate {
            add("_total", "accurate");
        }
    }
}

fn uri(name: &str, value: &str) -> Result<String, Rejection> {
    match uri_fault(value) {
        Some(problem) => Err(Rejection::parameter(name, problem)),
        None => Ok(value.to_owned()),
    }
}

/// `_format`: we answer in JSON (<https://hl7.org/fhir/R5/http.html#parameters>).
fn format(value: &str) -> Result<(), Rejection> {
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // A plus sign that was not escaped arrives as a space.
    match essence.replace(' ', "+").as_str() {
        "json" | "application/json" | "application/fhir+json" | "text/json" => Ok(()),
        _ => Err(Rejection::not_acceptable("Search parameter _format supports json only".to_owned())),
    }
}
