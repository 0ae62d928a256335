//! Searching observations.

use super::{
    query::{BroughtBy, Column, Filter, ObservationQuery, Order, PageSize, Reader},
    statement::{PARAMETERS, Source, Times, count_statement, page_statement},
};
use crate::{ALL, COUNTED, Store, StoreError, meter, payloads::Raw};
use audit::Context;
use authz::Layer;
use deadpool_postgres::Client;
use futures_util::future::try_join;
use jiff::Timestamp;
use payload::Place;
use std::borrow::Cow;
use tokio_postgres::{
    Row,
    types::{Json, ToSql},
};

/// One observation as stored.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its id.
    pub id: i64,
    /// Its version, from 1.
    pub version: i32,
    /// When that version was stored.
    pub last_updated: Timestamp,
    /// The start of its effective time.
    pub effective_start: Timestamp,
    /// The FHIR Source that it comes from, if it comes from one.
    pub source: Option<i32>,
    /// The FHIR resource without `resourceType`, `id` and `meta`, as JSON text.
    pub content: String,
}

/// An observation whose payload is not opened yet.
pub(super) struct Unopened {
    found: Found,
    pub(super) place: Place,
}

impl Unopened {
    pub(super) fn with(self, content: String) -> Found {
        Found { content, ..self.found }
    }
}

/// The observation of a row.
pub(super) fn found(row: &Row) -> Result<Unopened, StoreError> {
    let (id, version) = (row.try_get("id")?, row.try_get("version")?);
    Ok(Unopened {
        found: Found {
            id,
            version,
            last_updated: row.try_get("last_updated")?,
            effective_start: row.try_get("effective_start")?,
            source: row.try_get("source_id")?,
            content: String::new(),
        },
        place: Place::of_observation(row.try_get("patient_id")?, id, version),
    })
}

/// A page of a search.
#[derive(Clone, Debug, Default)]
pub struct ObservationPage {
    /// The rows, in order.
    pub rows: Vec<Found>,
    /// True when the next page is not empty.
    pub more: bool,
    /// How many observations the search finds in all, where that was asked for.
    pub total: Option<i64>,
}

impl Store {
    /// One page of a search, and its audit record, in one statement. With `with_total` the count is a second statement, with
    /// a record of its own, sent in the same round trip. `Ok(Err(layer))`: the query names something outside the reader's
    /// organizations.
    pub async fn search_observations(
        &self,
        context: &Context,
        query: &ObservationQuery,
        with_total: bool,
    ) -> Result<Result<ObservationPage, Layer>, StoreError> {
        let (rows, total) = {
            let client = self.connection().await?;
            let values = Values::new(context, query);
            try_join(page(&client, query, &values), async {
                if with_total { count(&client, query, &values).await.map(Some) } else { Ok(None) }
            })
            .await?
        };
        let (rows, total) = match (rows, total) {
            (Err(layer), _) | (_, Some(Err(layer))) => return Ok(Err(layer)),
            (Ok(rows), total) => (rows, total.and_then(Result::ok)),
        };
        let (mut page, last) = self.page_of(&rows, query.order).await?;
        page.total = total;
        // What cannot be opened any more is passed over: a page without anything would be taken for the last one.
        match last.filter(|_| page.rows.is_empty() && page.more) {
            None => Ok(Ok(page)),
            Some(last) => {
                let further = ObservationQuery { after: Some(last), ..query.clone() };
                let further = Box::pin(self.search_observations(context, &further, false)).await?;
                Ok(further.map(|page| ObservationPage { total, ..page }))
            }
        }
    }

    /// Whether a search finds something. No payload is opened.
    pub async fn finds_observations(&self, context: &Context, query: &ObservationQuery) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let rows = page(&client, query, &Values::new(context, query)).await?;
        // A layer that refuses shows nothing.
        let Ok(rows) = rows else { return Ok(false) };
        let first = rows.first().map(|row| row.try_get::<_, Option<i64>>("id")).transpose()?;
        Ok(first.flatten().is_some())
    }

    /// The observations of rows, each with its row and its payload; none: it cannot be opened any more.
    pub(super) async fn opened_rows<'a>(
        &self,
        rows: &'a [Row],
    ) -> Result<Vec<(&'a Row, Unopened, Option<String>)>, StoreError> {
        let mut unopened = Vec::with_capacity(rows.len());
        let mut raw = Vec::with_capacity(rows.len());
        for row in rows {
            // One row of nulls stands for an empty page: the audit's half of the join.
            if row.try_get::<_, Option<i64>>("id")?.is_some() {
                let one = found(row)?;
                raw.push(Raw::of(row, one.place)?);
                unopened.push((row, one));
            }
        }
        let texts = self.opened(&raw).await?;
        Ok(unopened.into_iter().zip(texts).map(|((row, one), text)| (row, one, text)).collect())
    }

    /// The page that rows are.
    async fn page_of(
        &self,
        rows: &[Row],
        order: Order,
    ) -> Result<(ObservationPage, Option<(Timestamp, i64)>), StoreError> {
        let more = rows.first().map(|row| row.try_get("more")).transpose()?.unwrap_or_default();
        let opened = self.opened_rows(rows).await?;
        let last = opened.last().map(|(_, one, _)| match order.column() {
            Column::LastUpdated => (one.found.last_updated, one.found.id),
            Column::EffectiveStart => (one.found.effective_start, one.found.id),
        });
        let rows: Vec<Found> = opened.into_iter().filter_map(|(_, one, text)| Some(one.with(text?))).collect();
        meter::observations_read(rows.len());
        Ok((ObservationPage { rows, more, total: None }, last))
    }

    /// How many observations a search finds in all, and its audit record, in one statement.
    pub async fn count_observations(
        &self,
        context: &Context,
        query: &ObservationQuery,
    ) -> Result<Result<i64, Layer>, StoreError> {
        let client = self.connection().await?;
        count(&client, query, &Values::new(context, query)).await
    }
}

/// The rows of a page, or the layer that refuses.
async fn page(
    client: &Client,
    query: &ObservationQuery,
    values: &Values<'_>,
) -> Result<Result<Vec<Row>, Layer>, StoreError> {
    let statement = client.prepare_typed_cached(&page_text(query), &PARAMETERS).await?;
    let rows = client.query(&statement, &values.parameters()).await?;
    match rows.first().map(|row| row.try_get::<_, Option<&str>>("refused_by")).transpose()?.flatten() {
        Some(refused) => Ok(Err(layer(refused)?)),
        None => Ok(Ok(rows)),
    }
}

/// The statement for a page of a query.
pub(super) fn page_text(query: &ObservationQuery) -> Cow<'static, str> {
    let size = PageSize::holding(query.count.saturating_add(query.skip));
    page_statement(source(query), query.order, size, times(query), &query.brought_by)
}

pub(super) async fn count(
    client: &Client,
    query: &ObservationQuery,
    values: &Values<'_>,
) -> Result<Result<i64, Layer>, StoreError> {
    let statement =
        client.prepare_typed_cached(&count_statement(source(query), &query.brought_by), &PARAMETERS).await?;
    let row = client.query_one(&statement, &values.parameters()).await?;
    match row.try_get::<_, Option<&str>>(0)? {
        Some(refused) => Ok(Err(layer(refused)?)),
        None => Ok(Ok(row.try_get(1)?)),
    }
}

fn times(query: &ObservationQuery) -> Times {
    let all = Filter::default();
    if query.start == all && query.end == all && query.updated == all { Times::Any } else { Times::Bounded }
}

/// The position before the first row: the near bound of the times in whose order the rows come, so that the index is entered
/// there. Bounds include their start and exclude their end, and no row has the least id.
fn before_first(query: &ObservationQuery) -> (Timestamp, i64) {
    let bounds = match query.order.column() {
        Column::LastUpdated => query.updated,
        Column::EffectiveStart => query.start,
    };
    (if query.order.is_descending() { bounds.max } else { bounds.min }, i64::MIN)
}

fn layer(name: &str) -> Result<Layer, StoreError> {
    Layer::from_name(name).ok_or(StoreError::Corrupt("refused_by"))
}

/// Where the rows of a query come from.
fn source(query: &ObservationQuery) -> Source {
    let candidates = !query.ids.is_empty() || query.identifier.is_some();
    let named = query.names_patient() || query.study.is_some();
    match query.reader {
        Reader::Practitioner(_) if candidates => Source::PermittedCandidates,
        Reader::Practitioner(_) if query.names_patient() => Source::Permitted,
        Reader::Practitioner(_) if matches!(query.brought_by, BroughtBy::Sources { .. }) => Source::Permitted,
        Reader::Practitioner(_) => Source::Feed,
        Reader::Privileged if candidates && !named => Source::AnyCandidates,
        Reader::Patient(_) | Reader::Privileged if candidates => Source::UnconditionalCandidates,
        Reader::Patient(_) => Source::Unconditional,
        Reader::Privileged if named => Source::Unconditional,
        Reader::Privileged => Source::Everything,
    }
}

/// The values of the parameters, in a form that the driver can borrow.
pub(super) struct Values<'a> {
    context: Json<&'a Context>,
    practitioner: Option<i32>,
    patients: Vec<i32>,
    patient_system: Option<&'a str>,
    patient_value: Option<&'a str>,
    code_systems: Vec<Option<&'a str>>,
    codes: Vec<Option<&'a str>>,
    identifier_system: Option<&'a str>,
    identifier_value: Option<&'a str>,
    position: (Timestamp, i64),
    count: i64,
    skip: i64,
    most: i64,
    sources: (&'a [String], &'a [String]),
    query: &'a ObservationQuery,
}

impl<'a> Values<'a> {
    pub(super) fn new(context: &'a Context, query: &'a ObservationQuery) -> Self {
        let token = |token: &'a Option<(Option<String>, String)>| {
            token.as_ref().map_or((None, None), |(system, value)| (system.as_deref(), Some(value.as_str())))
        };
        let (patient_system, patient_value) = token(&query.patient_identifier);
        let (identifier_system, identifier_value) = token(&query.identifier);
        Self {
            context: Json(context),
            practitioner: query.reader.practitioner(),
            // A patient's search is about that patient, whoever it names.
            patients: match query.reader {
                Reader::Patient(patient) => vec![patient.0],
                Reader::Practitioner(_) | Reader::Privileged => query.patients.clone(),
            },
            patient_system,
            patient_value: patient_value.filter(|_| !matches!(query.reader, Reader::Patient(_))),
            code_systems: query.codes.iter().map(|filter| filter.system.as_deref()).collect(),
            codes: query.codes.iter().map(|filter| filter.code.as_deref()).collect(),
            identifier_system,
            identifier_value,
            position: query.after.unwrap_or_else(|| before_first(query)),
            count: i64::from(query.count),
            skip: i64::from(query.skip),
            most: ALL,
            sources: query.brought_by.asked(),
            query,
        }
    }

    /// The same, counting no further than lists do.
    pub(super) fn counting_as_lists_do(self) -> Self {
        Self { most: COUNTED, ..self }
    }

    pub(super) fn parameters(&self) -> [&(dyn ToSql + Sync); 26] {
        [
            &self.context,
            &self.practitioner,
            &self.patients,
            &self.patient_system,
            &self.patient_value,
            &self.query.study,
            &self.query.organization,
            &self.code_systems,
            &self.codes,
            &self.query.statuses,
            &self.query.ids,
            &self.identifier_system,
            &self.identifier_value,
            &self.query.start.min,
            &self.query.start.max,
            &self.query.end.min,
            &self.query.end.max,
            &self.query.updated.min,
            &self.query.updated.max,
            &self.position.0,
            &self.position.1,
            &self.count,
            &self.skip,
            &self.most,
            &self.sources.0,
            &self.sources.1,
        ]
    }
}
