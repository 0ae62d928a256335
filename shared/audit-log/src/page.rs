//! Pages of events: as JSON, as a table, line by line, or as FHIR.

use crate::{resource, table};
use api::{Kind, Parameter, Shape, parameter};
use authz::UserId;
use fhir::{bundle::Searchset, cursor::Position};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use runtime::{App, Failure, Request, Response, rest::List, text_json};
use serde::Serialize;
use serde_json::Value;
use store::{AuditPage, AuditSlice, LoggedEvent};

/// In which form the page is asked for.
pub const FORMAT: [Parameter; 1] = [parameter(
    "_format",
    Kind::OneOf(&NAMES),
    "The form of the page, if not by Accept: json, csv (text/csv), ndjson (application/x-ndjson), or fhir, a Bundle of AuditEvents (application/fhir+json). Of csv and ndjson, the header Link has the next page.",
)];

/// How far events are counted: each is read for it, and an organization can have millions.
const COUNTED: i64 = 1_000;

/// The other forms.
pub const MEDIA: [&str; 3] = ["text/csv", "application/x-ndjson", "application/fhir+json"];

const NAMES: [&str; 4] = ["json", "csv", "ndjson", "fhir"];

/// The form of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// `count`, `next`, `previous`, `results`.
    Json,
    /// A table.
    Csv,
    /// A JSON document in each line.
    Ndjson,
    /// A FHIR `Bundle` of `AuditEvent`s.
    Fhir,
}

impl Format {
    /// What `_format` says, or else `Accept`.
    fn of(request: &Request, list: &List) -> Result<Self, Failure> {
        if let Some(name) = list.one_of("_format", &NAMES)? {
            return Ok(match name {
                "csv" => Self::Csv,
                "ndjson" => Self::Ndjson,
                "fhir" => Self::Fhir,
                _ => Self::Json,
            });
        }
        let accepted = request.header(header::ACCEPT).unwrap_or_default();
        let first = accepted.split(',').find_map(|one| match one.split(';').next().unwrap_or_default().trim() {
            "application/json" => Some(Self::Json),
            "text/csv" => Some(Self::Csv),
            "application/x-ndjson" => Some(Self::Ndjson),
            "application/fhir+json" => Some(Self::Fhir),
            _ => None,
        });
        Ok(first.unwrap_or(Self::Json))
    }
}

/// A page that is asked for.
#[derive(Debug)]
pub struct Asked {
    /// Its parameters.
    pub list: List,
    format: Format,
    who: UserId,
}

impl Asked {
    /// Reads the request. It has no other filters than these.
    pub async fn parse(app: &App, request: &Request, who: UserId, filters: &[&[Parameter]]) -> Result<Self, Failure> {
        let list = List::parse(app, request, who).await?;
        list.only(&[filters, &[&FORMAT]].concat())?;
        let list = list.of_log();
        let format = Format::of(request, &list)?;
        Ok(Self { list, format, who })
    }

    /// Which events to read. Only a page of JSON tells how many there are.
    pub fn slice(&self) -> Result<AuditSlice, Failure> {
        let rows = self.list.slice();
        let after = self.list.position.map(|position| {
            let at = Timestamp::from_microsecond(position.at);
            at.map(|at| (at, position.id)).map_err(|_| Failure::field("cursor", "It does not belong to this list."))
        });
        let counted = if self.format == Format::Json { COUNTED } else { 0 };
        Ok(AuditSlice { after: after.transpose()?, skip: rows.skip, count: rows.count, counted })
    }

    /// The answer: `shape` is that of what `entry` makes of an event.
    pub async fn respond<'a, T: Serialize>(
        &self,
        app: &App,
        page: &'a AuditPage,
        shape: &Shape,
        entry: impl Fn(&'a LoggedEvent) -> T,
    ) -> Result<Response, Failure> {
        let last = page.rows.last().filter(|_| page.more).map(position);
        if self.format == Format::Json {
            let rows: Vec<T> = page.rows.iter().map(entry).collect();
            return self.list.page_until(app, self.who, page.total, &rows, last).await;
        }
        let next = self.list.following(app, self.who, page.total, page.rows.is_empty(), last).await?;
        if self.format == Format::Fhir {
            return Ok(self.bundle(app, page, next.as_deref()));
        }
        let rows: Result<Vec<Value>, _> = page.rows.iter().map(|event| serde_json::to_value(entry(event))).collect();
        let (text, media) = match self.format {
            Format::Csv => (table::csv(shape, &rows?), "text/csv; charset=utf-8"),
            _ => (table::ndjson(&rows?), "application/x-ndjson"),
        };
        let mut response = Response::new(text.into());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        let link = next.and_then(|next| HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")).ok());
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        Ok(response)
    }

    fn bundle(&self, app: &App, page: &AuditPage, next: Option<&str>) -> Response {
        let site = &app.settings.site_url;
        let mut bundle = Searchset::new();
        for event in &page.rows {
            bundle.entry(&format!("{site}/FHIR/R5/AuditEvent/{}", event.id), &resource(event, site));
        }
        if let Some(next) = next {
            bundle.next(next);
        }
        let mut response = text_json(StatusCode::OK, bundle.finish(&self.list.current(app)));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/fhir+json"));
        response
    }
}

/// Where the page ends.
#[must_use]
pub fn position(event: &LoggedEvent) -> Position {
    Position { at: event.occurred_at.as_microsecond(), id: event.id }
}
