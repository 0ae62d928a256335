//! What the routes of `/api/v1` share: pages and fields.

use crate::{App, Failure, Request, Response, json, members};
use api::{Completeness, LINES, Parameter, Shape, snake_case};
use fhir::{cursor::Position, search};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp, civil::Date};
use oauth::registration::is_legible;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use store::{COUNTED, Slice};

/// Rows per page when the caller does not say.
const DEFAULT_PAGE_SIZE: i64 = 20;

/// The most rows per page; more is understood as this.
const MAX_PAGE_SIZE: i64 = 1_000;

/// The most rows that are skipped for a page by its number.
const MAX_SKIP: i64 = store::COUNTED;

/// No list has as many pages.
const MAX_NUMBER: i64 = 1 << 32;

/// A page in the shape of `/api/v1`.
#[derive(Debug, Serialize)]
struct Page<'a, T> {
    count: i64,
    next: Option<String>,
    previous: Option<String>,
    results: &'a [T],
}

/// The parameters of a list: filters by name, page size and position. Names may be camel or snake case.
///
/// A list that its design keeps short ([`List::whole`]) has pages by number. A list of any length ([`List::page`]) has keyset pages: `next` leads on
/// at the same cost however far, and a page by its number ([`List::slice`]) is found by counting, up to [`MAX_SKIP`] rows.
#[derive(Debug)]
pub struct List {
    path: String,
    filters: Vec<(String, String)>,
    /// The parameters by their names in snake case, as the caller wrote them.
    sent: BTreeMap<String, String>,
    /// The page's number, from 1.
    pub number: i64,
    size: i64,
    is_log: bool,
    /// The key of the last row of the page before.
    pub after: Option<i64>,
    /// The same with its time, for lists in the order of times.
    pub position: Option<Position>,
}

impl List {
    /// Reads the parameters. Bound to the caller by `who`: a link works only for the user it was given to.
    pub async fn parse(app: &App, request: &Request, who: authz::UserId) -> Result<Self, Failure> {
        let path = request.path().to_owned();
        let mut list = Self {
            path,
            filters: Vec::new(),
            sent: BTreeMap::new(),
            number: 1,
            size: DEFAULT_PAGE_SIZE,
            is_log: false,
            after: None,
            position: None,
        };
        let mut cursor = None;
        for (sent, value) in request.query()? {
            // The database stores no NUL, so nothing can be found by it.
            if sent.contains('\0') || value.contains('\0') {
                return Err(Failure::field(&sent.replace('\0', ""), "Null characters are not allowed."));
            }
            // Not a parameter that somebody else might understand, as of lists (`x[]=`), but nothing that could be one here.
            if !is_name(&sent) {
                return Err(Failure::field(&sent, "No parameter has such a name."));
            }
            let name = snake_case(&sent);
            if list.sent.insert(name.clone(), sent.clone()).is_some() {
                return Err(Failure::field(&sent, "It is given more than once."));
            }
            match name.as_str() {
                "page_size" => {
                    let size: i64 = list.number(&name, &value)?;
                    if size < 1 {
                        return Err(list.problem(&name, "Pages have at least one row."));
                    }
                    list.size = size.min(MAX_PAGE_SIZE);
                }
                "cursor" => cursor = Some(value),
                "page" => {
                    list.number = value
                        .parse()
                        .ok()
                        .filter(|number| (1..=MAX_NUMBER).contains(number))
                        .ok_or(Failure::NoSuchPage)?;
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
            list.position = Some(position);
        }
        Ok(list)
    }

    /// What is wrong with a parameter, under its name as the caller wrote it, or as it is described where it is missing.
    #[must_use]
    pub fn problem(&self, name: &str, text: &str) -> Failure {
        Failure::field(self.sent.get(name).map_or(name, String::as_str), text)
    }

    fn number<T: std::str::FromStr>(&self, name: &str, value: &str) -> Result<T, Failure> {
        value.parse().map_err(|_| self.problem(name, "A valid integer is required."))
    }

    fn binding(&self, who: authz::UserId) -> String {
        search::filter_text(&format!("{who} {}", self.path), &self.filters)
    }

    /// Refuses a filter that is none of these: one that is passed over would widen the list.
    pub fn only(&self, known: &[&[Parameter]]) -> Result<(), Failure> {
        let is_known = |name: &str| known.iter().any(|some| some.iter().any(|one| one.name == name));
        match self.filters.iter().find(|(name, _)| !is_known(name)) {
            // As much of the name as tells which it is.
            Some((name, _)) => {
                let name: String = self.sent.get(name).unwrap_or(name).chars().take(64).collect();
                Err(Failure::field(&name, "This list has no such parameter."))
            }
            None => Ok(()),
        }
    }

    /// The list as one of a log: a filter that is empty is none, and a page that was come to by a cursor has no `previous`. By its number
    /// it would have other rows, since a log grows where it begins.
    #[must_use]
    pub fn of_log(mut self) -> Self {
        self.filters.retain(|(_, value)| !value.is_empty());
        self.is_log = true;
        self
    }

    /// A filter's text. One that is there and empty is not taken for absent: it must not widen the list.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.filters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A filter that is an id.
    pub fn id(&self, name: &str) -> Result<Option<i32>, Failure> {
        self.text(name).map(|value| self.number(name, value)).transpose()
    }

    /// A filter that is an id of 64 bits.
    pub fn long(&self, name: &str) -> Result<Option<i64>, Failure> {
        self.text(name).map(|value| self.number(name, value)).transpose()
    }

    /// A filter that is an instant of RFC 3339, of the years 1 to 9999, and not after `now`: what is not decided yet is not
    /// known. The clocks of caller, host and database may differ by a minute.
    pub fn past_instant(&self, name: &str, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
        let instant = self.instant(name)?;
        if instant.is_some_and(|instant| instant.duration_since(now) > SignedDuration::from_mins(1)) {
            return Err(self.problem(name, "The instant is in the future."));
        }
        Ok(instant)
    }

    /// A filter that is an instant of RFC 3339, of the years 1 to 9999.
    pub fn instant(&self, name: &str) -> Result<Option<Timestamp>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let years = Timestamp::constant(-62_135_596_800, 0)..Timestamp::constant(253_402_128_000, 0);
        let instant = text.parse().ok().filter(|at| years.contains(at)).ok_or_else(|| {
            self.problem(name, "Enter an instant such as 2026-11-21T18:00:00Z; write + as %2B in a URL.")
        })?;
        Ok(Some(instant))
    }

    /// A filter that is `true` or `false`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        self.text(name).map(|text| text.parse().map_err(|_| self.problem(name, "Must be true or false."))).transpose()
    }

    /// A filter that is one of these texts.
    pub fn one_of<'a>(&self, name: &str, known: &[&'a str]) -> Result<Option<&'a str>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = known.iter().find(|one| **one == text);
        found.map(|one| Some(*one)).ok_or_else(|| self.problem(name, &format!("Must be one of {}.", known.join(", "))))
    }

    /// Which rows to read for a page: none when its number is too high to count that far.
    #[must_use]
    pub const fn slice(&self) -> Slice {
        let skip = self.skipped();
        if skip > MAX_SKIP {
            return Slice { after: self.after, skip: 0, count: 0 };
        }
        Slice { after: self.after, skip, count: self.size }
    }

    /// How many rows come before the page, where it is asked for by its number alone.
    const fn skipped(&self) -> i64 {
        if self.after.is_some() { 0 } else { self.size.saturating_mul(self.number - 1) }
    }

    /// The response with a keyset page. `last` is the key of its last row when another page follows.
    pub async fn page<T: Serialize>(
        &self,
        app: &App,
        who: authz::UserId,
        count: i64,
        rows: &[T],
        last: Option<i64>,
    ) -> Result<Response, Failure> {
        self.page_until(app, who, count, rows, last.map(|id| Position { at: 0, id })).await
    }

    /// As [`List::page`], where the key of a row has a time.
    pub async fn page_until<T: Serialize>(
        &self,
        app: &App,
        who: authz::UserId,
        count: i64,
        rows: &[T],
        last: Option<Position>,
    ) -> Result<Response, Failure> {
        let next = self.following(app, who, count, rows.is_empty(), last).await?;
        let countable = self.size.saturating_mul(self.number - 2) <= MAX_SKIP;
        let is_known = !self.is_log || self.after.is_none();
        let previous = (self.number > 1 && countable && is_known).then(|| self.numbered(app, self.number - 1));
        Ok(json(StatusCode::OK, &Page { count, next, previous, results: rows })?)
    }

    /// The link to the page after this one, whatever form the rows have. `is_empty`: the page has no rows.
    pub async fn following(
        &self,
        app: &App,
        who: authz::UserId,
        count: i64,
        is_empty: bool,
        last: Option<Position>,
    ) -> Result<Option<String>, Failure> {
        let skipped = self.skipped();
        if skipped > MAX_SKIP {
            // A list that has as many rows as are counted may have more.
            if count < COUNTED {
                self.first_row(count)?;
            }
            return Err(Failure::field("page", "Pages this far have no numbers. Follow the link \"next\"."));
        }
        if skipped > 0 && is_empty {
            return Err(Failure::NoSuchPage);
        }
        let Some(position) = last else { return Ok(None) };
        let cursor = app.cursor_key().await?.seal(&self.binding(who), &position);
        // The number only tells the next page which one it is: its place is the cursor's.
        Ok(Some(self.link(app, &[("page", (self.number + 1).to_string()), ("cursor", cursor)])))
    }

    /// The link to this page, as it was asked for.
    #[must_use]
    pub fn current(&self, app: &App) -> String {
        self.numbered(app, self.number)
    }

    /// As [`List::page`], where the place of a page is that of a row by name. When that row is gone meanwhile, there is no such
    /// page: an empty one would pass for the end of the list.
    pub async fn page_that_exists<T: Serialize>(
        &self,
        app: &App,
        who: authz::UserId,
        count: i64,
        rows: &[T],
        last: Option<i64>,
    ) -> Result<Response, Failure> {
        if self.after.is_some() && rows.is_empty() {
            return Err(Failure::NoSuchPage);
        }
        self.page(app, who, count, rows, last).await
    }

    /// The response with a list that its design keeps short, read whole: a practitioner's own clients, of which nobody may have
    /// more than 20.
    pub fn whole<T: Serialize>(&self, app: &App, rows: &[T]) -> Result<Response, Failure> {
        if self.after.is_some() {
            return Err(Failure::field("cursor", "It does not belong to this list."));
        }
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let first = usize::try_from(self.first_row(count)?).unwrap_or(usize::MAX);
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let results = rows.get(first..).unwrap_or_default();
        let next = (results.len() > size).then(|| self.numbered(app, self.number + 1));
        let previous = (self.number > 1).then(|| self.numbered(app, self.number - 1));
        let results = results.get(..size).unwrap_or(results);
        Ok(json(StatusCode::OK, &Page { count, next, previous, results })?)
    }

    /// How many rows are before the page. Beyond the last row there is no page but the first.
    fn first_row(&self, count: i64) -> Result<i64, Failure> {
        let first = self.size.saturating_mul(self.number - 1);
        if first > 0 && first >= count { Err(Failure::NoSuchPage) } else { Ok(first) }
    }

    /// A link to the page of this list with a number.
    fn numbered(&self, app: &App, number: i64) -> String {
        self.link(app, &[("page", number.to_string())])
    }

    /// A link to another page of this list.
    fn link(&self, app: &App, position: &[(&str, String)]) -> String {
        let mut pairs = self.filters.clone();
        pairs.push(("page_size".to_owned(), self.size.to_string()));
        pairs.extend(position.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        search::link(&format!("{}{}", app.settings.site_url, self.path), &pairs, None)
    }
}

/// Whether a parameter could have this name.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
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

    /// The fields of one JSON object of many: of a line. None when it is no object, or names a member twice.
    #[must_use]
    pub fn line(text: &[u8]) -> Option<Self> {
        members::each_once(text).ok()?;
        serde_json::from_slice(text).ok().map(Self)
    }

    /// The fields of a body that may be absent.
    pub fn optional(request: &Request) -> Result<Self, Failure> {
        if request.body()?.is_empty() { Ok(Self(Map::new())) } else { Self::parse(request) }
    }

    /// Refuses a body that does not have the shape that the operation describes. All that is wrong is told at once.
    pub fn check(&self, shape: &Shape, completeness: Completeness) -> Result<(), Failure> {
        let problems = shape.problems(&self.0, completeness);
        if problems.is_empty() { Ok(()) } else { Err(Failure::Fields(problems)) }
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
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        let camel = self.0.get(name);
        camel.or_else(|| self.0.get(&snake_case(name))).filter(|value| !value.is_null())
    }

    /// Whether a field is there by either spelling, if only as null.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name) || self.0.contains_key(&snake_case(name))
    }

    /// A text of 1 to `limit` characters, without control characters; surrounding blanks are removed.
    pub fn optional_text(&self, name: &str, limit: usize) -> Result<Option<String>, Failure> {
        self.trimmed(name, limit, char::is_control)
    }

    /// A text of 1 to `limit` characters that may have lines, and must be there.
    pub fn lines(&self, name: &str, limit: usize) -> Result<String, Failure> {
        self.trimmed(name, limit, |c| c.is_control() && !LINES.contains(&c))?.ok_or_else(|| required(name))
    }

    fn trimmed(&self, name: &str, limit: usize, is_refused: impl Fn(char) -> bool) -> Result<Option<String>, Failure> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let text = value.as_str().map(str::trim).ok_or_else(|| Failure::field(name, "Not a valid string."))?;
        if text.chars().count() > limit {
            return Err(Failure::field(name, &format!("Ensure this field has no more than {limit} characters.")));
        }
        if text.chars().any(is_refused) {
            return Err(Failure::field(name, "Control characters are not allowed."));
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    /// As [`Fields::optional_text`], for a field that must be there.
    pub fn text(&self, name: &str, limit: usize) -> Result<String, Failure> {
        self.optional_text(name, limit)?.ok_or_else(|| required(name))
    }

    /// A person's name, if the field is there. People see it as it is: a direction that turns, or a character that shows nothing,
    /// makes of one person another.
    pub fn optional_name(&self, name: &str) -> Result<Option<String>, Failure> {
        let text = self.optional_text(name, 150)?;
        if text.as_deref().is_some_and(|text| !is_legible(text)) {
            return Err(Failure::field(name, "Characters that are not seen are not allowed."));
        }
        Ok(text)
    }

    /// As [`Fields::optional_name`], for a field that must be there.
    pub fn name(&self, name: &str) -> Result<String, Failure> {
        self.optional_name(name)?.ok_or_else(|| required(name))
    }

    /// An id that must be there, as a number or as digits.
    pub fn id(&self, name: &str) -> Result<i32, Failure> {
        let value = self.value(name).ok_or_else(|| required(name))?;
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
        let Some(value) = self.value(name) else { return Ok(None) };
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

    /// A day, if the field is there.
    pub fn optional_date(&self, name: &str) -> Result<Option<Date>, Failure> {
        let Some(text) = self.optional_text(name, 10)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Failure::field(name, "Enter a valid date, as in 1990-01-31."))
    }

    /// The fields of an object, if the field is there.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<Self> {
        self.value(name).and_then(Self::of)
    }

    /// True or false, if the field is there.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        self.value(name)
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
