//! What the FHIR searches share: their parameters, their links, their cursors.

use crate::{App, Failure, Request};
use fhir::{
    cursor::Position,
    search::{Handling, Matching, StringParam, filter_text, link},
};
use http::Method;
use store::TextFilter;

/// The parameters of a search: the query, and for `POST [type]/_search` also the form
/// (<https://hl7.org/fhir/R5/http.html#search>).
pub fn parameters(request: &Request) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs = request.query()?;
    if request.method() == Method::POST {
        pairs.extend(request.form()?);
    }
    Ok(pairs)
}

/// How unknown parameters are treated (`Prefer: handling=`).
#[must_use]
pub fn handling(request: &Request) -> Handling {
    request.header("prefer").map_or(Handling::Lenient, Handling::from_prefer)
}

/// The condition that a string parameter asks of a text.
#[must_use]
pub fn text_filter(param: &StringParam) -> TextFilter {
    match param.matching {
        Matching::StartsWith => TextFilter::starts_with(&param.values),
        Matching::Contains => TextFilter::contains(&param.values),
        Matching::Exact => TextFilter::exact(&param.values),
    }
}

/// A search as it was understood, and what is needed to link to its pages.
#[derive(Debug)]
pub struct Links {
    url: String,
    pairs: Vec<(String, String)>,
    binding: String,
}

impl Links {
    /// The links of a search of `resource_type` by a user. Cursors are bound to both and to the filter.
    #[must_use]
    pub fn new(app: &App, user: authz::UserId, resource_type: &str, pairs: Vec<(String, String)>) -> Self {
        let binding = format!("{user} {}", filter_text(resource_type, &pairs));
        Self { url: format!("{}/FHIR/R5/{resource_type}", app.settings.site_url), pairs, binding }
    }

    /// The position of a cursor, if the search has one.
    pub async fn open(&self, app: &App, cursor: Option<&str>) -> Result<Option<Position>, Failure> {
        let Some(cursor) = cursor else { return Ok(None) };
        app.cursor_key()
            .await?
            .open(&self.binding, cursor)
            .map(Some)
            .map_err(|_| Failure::Invalid("The page link is not valid for this search.".to_owned()))
    }

    /// The link to the page after a position.
    pub async fn next(&self, app: &App, last: &Position) -> Result<String, Failure> {
        let cursor = app.cursor_key().await?.seal(&self.binding, last);
        Ok(link(&self.url, &self.pairs, Some(&cursor)))
    }

    /// The link to this search, or to the page that a cursor starts.
    #[must_use]
    pub fn current(&self, cursor: Option<&str>) -> String {
        link(&self.url, &self.pairs, cursor)
    }
}
