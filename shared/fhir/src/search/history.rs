//! Parameters of `[type]/[id]/_history` (<https://hl7.org/fhir/R5/http.html#history>).

use crate::Rejection;
use crate::search::query::{Pairs, Query};
use crate::search::{Handling, Page};

/// What would narrow the history and is not supported. To pass it over would give more than was asked for.
const NARROWING: [&str; 4] = ["_since", "_at", "_list", "_sort"];

/// What is asked of the versions of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistorySearch {
    /// `_count` and the cursor.
    pub page: Page,
}

impl HistorySearch {
    /// Reads the parameters.
    pub fn parse(pairs: &[(String, String)], handling: Handling) -> Result<Self, Rejection> {
        let page = Query::read(pairs, handling, &[], |query, name, value| match name {
            "_count" | "_cursor" | "_format" | "_page" => query.other(name, value),
            _ if NARROWING.contains(&name) => Err(Rejection::parameter_not_supported(format!(
                "Parameter {name} is not supported: all versions are given, the newest first"
            ))),
            _ => query.foreign(name),
        })?;
        if page.summary_count {
            return Err(Rejection::parameter("_count", "must be 1 or more"));
        }
        Ok(Self { page })
    }

    /// What was understood: names and values, sorted, without the cursor.
    #[must_use]
    pub fn canonical_pairs(&self) -> Vec<(String, String)> {
        Pairs::default().finish(&self.page)
    }
}
