//! What the routes of `/api/v1` share: pages and fields.

use crate::{App, Failure, Request, Response, json};
use fhir::{cursor::Position, search};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};

/// Rows per page when the caller does not say.
const DEFAULT_PAGE_SIZE: i64 = 20;

/// The most rows per page; more is understood as this.
const MAX_PAGE_SIZE: i64 = 1_000;

/// A page in the shape of `/api/v1`. Pages are keyset pages: `next` leads on, there is no way back.
#[derive(Debug, Serialize)]
struct Page<'a, T> {
    count: i64,
    next: Option<String>,
    previous: Option<String>,
    results: &'a [T],
}

/// The parameters of a list: filters by name, page size and position. Names may be camel or snake case.
#[derive(Debug)]
pub struct List {
    path: String,
    filters: Vec<(String, String)>,
    /// Rows per page.
    pub page_size: i64,
    /// The key of the last row of the page before.
    pub after: Option<i64>,
}

impl List {
    /// Reads the parameters. Bound to the caller by `who`: a link works only for the user it was given to.
    pub async fn parse(app: &App, request: &Request, who: authz::UserId) -> Result<Self, Failure> {
        let mut list =
            Self { path: request.path().to_owned(), filters: Vec::new(), page_size: DEFAULT_PAGE_SIZE, after: None };
        let mut cursor = None;
        for (name, value) in request.query() {
            let name = snake_case(&name);
            match name.as_str() {
                "page_size" => {
                    let size: i64 = number(&name, &value)?;
                    list.page_size = size.clamp(1, MAX_PAGE_SIZE);
                }
                "cursor" => cursor = Some(value),
                // Existing apps ask for the first page by its number; later ones are reached by `next`.
                "page" if value == "1" => {}
                "page" => return Err(Failure::NotFound),
                _ if list.filters.iter().any(|(known, _)| *known == name) => {
                    return Err(Failure::field(&name, "It is given more than once."));
                }
                _ => list.filters.push((name, value)),
            }
        }
        list.filters.sort();
        if let Some(cursor) = cursor {
            let position = app
                .cursor_key()
                .await?
                .open(&list.binding(who), &cursor)
                .map_err(|_| Failure::field("cursor", "It does not belong to this list."))?;
            list.after = Some(position.id);
        }
        Ok(list)
    }

    fn binding(&self, who: authz::UserId) -> String {
        search::filter_text(&format!("{who} {}", self.path), &self.filters)
    }

    /// A filter's text. One that is there and empty is not taken for absent: it must not widen the list.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.filters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A filter that is an id.
    pub fn id(&self, name: &str) -> Result<Option<i32>, Failure> {
        self.text(name).map(|value| number(name, value)).transpose()
    }

    /// The response with a page. `last` is the key of its last row when another page follows.
    pub async fn page<T: Serialize>(
        &self,
        app: &App,
        who: authz::UserId,
        count: i64,
        rows: &[T],
        last: Option<i64>,
    ) -> Result<Response, Failure> {
        let next = match last {
            None => None,
            Some(id) => {
                let cursor = app.cursor_key().await?.seal(&self.binding(who), &Position { at: 0, id });
                let mut pairs = self.filters.clone();
                pairs.push(("page_size".to_owned(), self.page_size.to_string()));
                pairs.push(("cursor".to_owned(), cursor));
                Some(search::link(&format!("{}{}", app.settings.site_url, self.path), &pairs, None))
            }
        };
        Ok(json(StatusCode::OK, &Page { count, next, previous: None, results: rows })?)
    }

    /// The response with a short list that is kept whole in memory: organizations, studies, data sources. The key of a
    /// row is its place.
    pub async fn whole<T: Serialize>(&self, app: &App, who: authz::UserId, rows: &[T]) -> Result<Response, Failure> {
        let from = usize::try_from(self.after.unwrap_or(0)).unwrap_or(usize::MAX).min(rows.len());
        let size = usize::try_from(self.page_size).unwrap_or(usize::MAX);
        let to = from.saturating_add(size).min(rows.len());
        let page = rows.get(from..to).unwrap_or_default();
        let last = (to < rows.len()).then(|| i64::try_from(to).unwrap_or(i64::MAX));
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        self.page(app, who, count, page, last).await
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, Failure> {
    value.parse().map_err(|_| Failure::field(name, "A valid integer is required."))
}

/// `organizationId` and `organization_id` name the same.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

/// The fields of a JSON body, read one by one so that every problem has its field's name.
#[derive(Debug)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// The fields of the request's body, which must be an object.
    pub fn parse(request: &Request) -> Result<Self, Failure> {
        match request.json()? {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(Failure::Invalid("The body must be a JSON object.".to_owned())),
        }
    }

    /// Refuses a body with a field that is none of `known`.
    pub fn only(&self, known: &[&str]) -> Result<(), Failure> {
        let unknown = |name: &&String| known.iter().all(|known| name != known && **name != snake_case(known));
        match self.0.keys().find(unknown) {
            // As much of the name as tells which field it is.
            Some(name) => {
                let name: String = name.chars().take(100).collect();
                Err(Failure::field(&name, "This field is not known."))
            }
            None => Ok(()),
        }
    }

    /// A field by either spelling: `patientId` or `patient_id`. Null counts as absent.
    fn get(&self, name: &str) -> Option<&Value> {
        let camel = self.0.get(name);
        camel.or_else(|| self.0.get(&snake_case(name))).filter(|value| !value.is_null())
    }

    /// A text of 1 to `limit` characters, without control characters; surrounding blanks are removed.
    pub fn optional_text(&self, name: &str, limit: usize) -> Result<Option<String>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().map(str::trim).ok_or_else(|| Failure::field(name, "Not a valid string."))?;
        if text.chars().count() > limit {
            return Err(Failure::field(name, &format!("Ensure this field has no more than {limit} characters.")));
        }
        if text.chars().any(char::is_control) {
            return Err(Failure::field(name, "Control characters are not allowed."));
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    /// As [`Fields::optional_text`], for a field that must be there.
    pub fn text(&self, name: &str, limit: usize) -> Result<String, Failure> {
        self.optional_text(name, limit)?.ok_or_else(|| required(name))
    }

    /// An id that must be there, as a number or as digits.
    pub fn id(&self, name: &str) -> Result<i32, Failure> {
        let value = self.get(name).ok_or_else(|| required(name))?;
        as_id(value).ok_or_else(|| Failure::field(name, "A valid integer is required."))
    }

    /// A list of 1 to 1,000 ids.
    pub fn ids(&self, name: &str) -> Result<Vec<i32>, Failure> {
        let items = self.array(name)?;
        items
            .iter()
            .map(|value| as_id(value).ok_or_else(|| Failure::field(name, "A valid integer is required.")))
            .collect()
    }

    /// A list of 1 to 1,000 items.
    pub fn array(&self, name: &str) -> Result<&[Value], Failure> {
        match self.optional_array(name, 1000)? {
            None => Err(required(name)),
            Some([]) => Err(Failure::field(name, "Expected 1 to 1000 items.")),
            Some(items) => Ok(items),
        }
    }

    /// A list of at most `limit` items, if the field is there.
    pub fn optional_array(&self, name: &str, limit: usize) -> Result<Option<&[Value]>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| Failure::field(name, "Expected a list of items."))?;
        if items.len() > limit {
            return Err(Failure::field(name, &format!("Expected at most {limit} items.")));
        }
        Ok(Some(items))
    }

    /// The fields of an object in a list.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        value.as_object().cloned().map(Self)
    }

    /// True or false, if the field is there.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        self.get(name)
            .map(|value| value.as_bool().ok_or_else(|| Failure::field(name, "Must be a valid boolean.")))
            .transpose()
    }
}

fn as_id(value: &Value) -> Option<i32> {
    match value {
        Value::Number(number) => number.as_i64().and_then(|id| i32::try_from(id).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn required(name: &str) -> Failure {
    Failure::field(name, "This field is required.")
}
