//! Observations with the names of their patients and codes: for lists that are no FHIR.
//!
//! The same statements as those of the search and of the read decide and record; what they show is only joined with names.

use super::{
    query::{ObservationQuery, Reader},
    read, search,
    search::{Found, Unopened},
    statement::PARAMETERS,
};
use crate::{Store, StoreError, meter};
use audit::{Context, RefusedBy};
use authz::Layer;
use futures_util::future::try_join;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// An observation with the names of what it refers to.
#[derive(Clone, Debug)]
pub struct NamedObservation {
    /// The observation.
    pub found: Found,
    /// Its patient.
    pub patient: i32,
    /// The patient's family name.
    pub name_family: String,
    /// The patient's given name.
    pub name_given: String,
    /// The patient's account.
    pub user: i32,
    /// The scope's id.
    pub scope: i32,
    /// The code's system.
    pub system: String,
    /// The code.
    pub code: String,
    /// The code in words.
    pub text: String,
}

/// A page of observations with names.
#[derive(Clone, Debug, Default)]
pub struct NamedObservationPage {
    /// The rows, newest first.
    pub rows: Vec<NamedObservation>,
    /// True when the next page is not empty.
    pub more: bool,
    /// How many the search finds, [`COUNTED`](crate::COUNTED) at most.
    pub total: i64,
}

/// The rows of a statement with the names of what they refer to.
fn with_names(statement: &str) -> String {
    format!(
        "
SELECT s.*, p.name_family, p.name_given, p.user_id, o.scope_id, c.system, c.code, c.text
  FROM ({statement}) s
  LEFT JOIN (observation o JOIN patient p ON p.id = o.patient_id JOIN scope c ON c.id = o.scope_id) ON o.id = s.id
 ORDER BY s.last_updated DESC, s.id DESC"
    )
}

impl Store {
    /// One page of a search, newest first, with names and a count, and the audit records, in one round trip.
    /// `Ok(Err(layer))`: the query names something outside the reader's organizations.
    pub async fn named_observations(
        &self,
        context: &Context,
        query: &ObservationQuery,
    ) -> Result<Result<NamedObservationPage, Layer>, StoreError> {
        let (rows, total) = {
            let client = self.connection().await?;
            let values = search::Values::new(context, query).counting_as_lists_do();
            let text = with_names(&search::page_text(query));
            let page = async {
                let statement = client.prepare_typed_cached(&text, &PARAMETERS).await?;
                Ok(client.query(&statement, &values.parameters()).await?)
            };
            try_join(page, search::count(&client, query, &values)).await?
        };
        let mut page = NamedObservationPage::default();
        for row in &rows {
            if let Some(refused) = row.try_get::<_, Option<&str>>("refused_by")? {
                return Ok(Err(Layer::from_name(refused).ok_or(StoreError::Corrupt("refused_by"))?));
            }
            page.more = row.try_get("more")?;
        }
        page.rows = self.named(&rows).await?;
        meter::observations_read(page.rows.len());
        Ok(total.map(|total| NamedObservationPage { total, ..page }))
    }

    /// Reads an observation with names, and writes its audit record, in one statement.
    pub async fn named_observation(
        &self,
        context: &Context,
        reader: Reader,
        id: i64,
    ) -> Result<Result<NamedObservation, RefusedBy>, StoreError> {
        let (text, who) = read::statement(reader);
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(&with_names(text), &[Type::JSONB, Type::INT8, Type::INT4]).await?;
        let row = client.query_one(&statement, &[&Json(context), &id, &who]).await?;
        if let Some(refused) = row.try_get::<_, Option<&str>>("refused_by")? {
            return Ok(Err(RefusedBy::from_name(refused).ok_or(StoreError::Corrupt("refused_by"))?));
        }
        drop(client);
        // Whose key was destroyed is no patient any more.
        let Some(named) = self.named(&[row]).await?.pop() else { return Ok(Err(RefusedBy::NotFound)) };
        meter::observations_read(1);
        Ok(Ok(named))
    }

    /// The observations of rows, of which one may hold none.
    async fn named(&self, rows: &[Row]) -> Result<Vec<NamedObservation>, StoreError> {
        let opened = self.opened_rows(rows).await?.into_iter();
        let named = opened.filter_map(|(row, one, text)| Some(named(row, one, text?)));
        named.collect()
    }
}

/// The observation of a row.
fn named(row: &Row, one: Unopened, content: String) -> Result<NamedObservation, StoreError> {
    Ok(NamedObservation {
        found: one.with(content),
        patient: row.try_get("patient_id")?,
        name_family: row.try_get("name_family")?,
        name_given: row.try_get("name_given")?,
        user: row.try_get("user_id")?,
        scope: row.try_get("scope_id")?,
        system: row.try_get("system")?,
        code: row.try_get("code")?,
        text: row.try_get("text")?,
    })
}
