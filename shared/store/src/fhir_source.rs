//! FHIR Sources: where a patient's resources come from. Each is the patient's own.

use crate::{
    Changed, Expected, Slice, Store, StoreError,
    error::refers_to_nothing,
    page::{self, Order, Page},
};
use audit::Context;
use authz::PatientId;
use jiff::Timestamp;
use serde::Serialize;
use std::sync::LazyLock;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// A FHIR Source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FhirSource {
    /// From 90001.
    pub id: i32,
    /// Whose it is.
    pub patient: i32,
    /// The data source by which the resources come.
    pub data_source: i32,
    /// Its name for people.
    pub label: String,
    /// The FHIR base URL that the resources come from.
    pub fhir_base_url: String,
    /// When it last changed.
    pub last_updated: Timestamp,
}

/// What a FHIR Source is to be; what is absent stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct FhirSourceChange<'a> {
    /// The data source.
    pub data_source: Option<i32>,
    /// The name.
    pub label: Option<&'a str>,
    /// The base URL.
    pub fhir_base_url: Option<&'a str>,
}

/// What came of making, changing or deleting a FHIR Source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceChanged {
    /// Done: as it is now, or as it was before it was deleted.
    Done(FhirSource),
    /// There is no such data source.
    UnknownDataSource,
    /// Resources come from it.
    InUse,
}

/// 1 patient, 2 a source or all.
const LIST: &str = "
SELECT id, patient_id, data_source_id, label, fhir_base_url, last_updated
  FROM fhir_source WHERE patient_id = $1 AND ($2::int IS NULL OR id = $2)";

static PAGE: LazyLock<String> = LazyLock::new(|| page::statement(LIST, Order::Id, 3));

const ANY: &str =
    "SELECT id, patient_id, data_source_id, label, fhir_base_url, last_updated FROM fhir_source WHERE id = $1";

/// 1 audit context, 2 patient, 3 data source, 4 name, 5 URL.
const CREATE: &str = "
WITH created AS (
  INSERT INTO fhir_source (patient_id, data_source_id, label, fhir_base_url) VALUES ($2, $3, $4, $5) RETURNING *
)
SELECT c.*, audit_record($1, 'allowed', NULL, '{}', '{}', ARRAY[c.patient_id], '{}', NULL, NULL, to_jsonb(c)) FROM created c";

/// 1 audit context, 2 patient, 3 source, 4 versions, 5 data source, 6 name, 7 URL.
const CHANGE: &str = "
WITH was AS MATERIALIZED (
  SELECT * FROM fhir_source WHERE id = $3 AND patient_id = $2 FOR NO KEY UPDATE
), changed AS (
  UPDATE fhir_source s
     SET data_source_id = coalesce($5, s.data_source_id), label = coalesce($6, s.label),
         fhir_base_url = coalesce($7, s.fhir_base_url), last_updated = clock_timestamp()
    FROM was WHERE s.id = was.id AND ($4::timestamptz[] IS NULL OR was.last_updated = ANY ($4))
  RETURNING s.*
)
SELECT c.*, CASE WHEN c.id IS NOT NULL THEN
         audit_record($1, 'allowed', NULL, '{}', '{}', ARRAY[w.patient_id], '{}', NULL, to_jsonb(w), to_jsonb(c)) END
  FROM was w LEFT JOIN changed c ON true";

/// 1 audit context, 2 patient, 3 source, 4 versions.
const DELETE: &str = "
WITH was AS MATERIALIZED (
  SELECT * FROM fhir_source WHERE id = $3 AND patient_id = $2 FOR UPDATE
), deleted AS (
  DELETE FROM fhir_source s USING was WHERE s.id = was.id AND ($4::timestamptz[] IS NULL OR was.last_updated = ANY ($4))
  RETURNING s.*
)
SELECT d.*, CASE WHEN d.id IS NOT NULL THEN
         audit_record($1, 'allowed', NULL, '{}', '{}', ARRAY[w.patient_id], '{}', NULL, to_jsonb(w), NULL) END
  FROM was w LEFT JOIN deleted d ON true";

impl Store {
    /// A page of a patient's FHIR Sources, by id.
    pub async fn fhir_sources(&self, patient: PatientId, slice: Slice) -> Result<Page<FhirSource>, StoreError> {
        let client = self.connection().await?;
        let types = [[Type::INT4, Type::INT4].as_slice(), &page::TYPES].concat();
        let statement = client.prepare_typed_cached(&PAGE, &types).await?;
        let page = page::Values::from(slice);
        let rows = client
            .query(&statement, &[&patient.0, &None::<i32>, &page.after, &page.count, &page.skip, &page.far])
            .await?;
        page::read(&rows, source)
    }

    /// One of a patient's FHIR Sources.
    pub async fn own_fhir_source(&self, patient: PatientId, id: i32) -> Result<Option<FhirSource>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(LIST, &[Type::INT4, Type::INT4]).await?;
        client.query_opt(&statement, &[&patient.0, &Some(id)]).await?.as_ref().map(source).transpose()
    }

    /// The FHIR Source with this id, whosever it is: what comes from it is judged by its patient.
    pub async fn fhir_source(&self, id: i32) -> Result<Option<FhirSource>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(ANY, &[Type::INT4]).await?;
        client.query_opt(&statement, &[&id]).await?.as_ref().map(source).transpose()
    }

    /// Makes a FHIR Source, with the audit record, in one statement.
    pub async fn create_fhir_source(
        &self,
        context: &Context,
        patient: PatientId,
        data_source: i32,
        label: &str,
        fhir_base_url: &str,
    ) -> Result<SourceChanged, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::INT4, Type::TEXT, Type::TEXT];
        let statement = client.prepare_typed_cached(CREATE, &types).await?;
        let found =
            client.query_one(&statement, &[&Json(context), &patient.0, &data_source, &label, &fhir_base_url]).await;
        match found {
            Err(error) if refers_to_nothing(&error) => Ok(SourceChanged::UnknownDataSource),
            other => source(&other?).map(SourceChanged::Done),
        }
    }

    /// Changes a patient's FHIR Source, with the audit record, in one statement.
    pub async fn change_fhir_source(
        &self,
        context: &Context,
        patient: PatientId,
        id: i32,
        expected: &Expected,
        change: FhirSourceChange<'_>,
    ) -> Result<Changed<SourceChanged>, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::INT4, Type::TIMESTAMPTZ_ARRAY, Type::INT4, Type::TEXT, Type::TEXT];
        let statement = client.prepare_typed_cached(CHANGE, &types).await?;
        let FhirSourceChange { data_source, label, fhir_base_url } = change;
        let found = client
            .query_opt(
                &statement,
                &[&Json(context), &patient.0, &id, &expected.times(), &data_source, &label, &fhir_base_url],
            )
            .await;
        match found {
            Err(error) if refers_to_nothing(&error) => Ok(Changed::Done(SourceChanged::UnknownDataSource)),
            other => changed(other?.as_ref()),
        }
    }

    /// Deletes a patient's FHIR Source from which nothing comes, with the audit record, in one statement.
    pub async fn delete_fhir_source(
        &self,
        context: &Context,
        patient: PatientId,
        id: i32,
        expected: &Expected,
    ) -> Result<Changed<SourceChanged>, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::INT4, Type::TIMESTAMPTZ_ARRAY];
        let statement = client.prepare_typed_cached(DELETE, &types).await?;
        match client.query_opt(&statement, &[&Json(context), &patient.0, &id, &expected.times()]).await {
            Err(error) if refers_to_nothing(&error) => Ok(Changed::Done(SourceChanged::InUse)),
            other => changed(other?.as_ref()),
        }
    }
}

fn changed(row: Option<&Row>) -> Result<Changed<SourceChanged>, StoreError> {
    let Some(row) = row else { return Ok(Changed::Missing) };
    if row.try_get::<_, Option<i32>>("id")?.is_none() {
        return Ok(Changed::Stale);
    }
    source(row).map(|done| Changed::Done(SourceChanged::Done(done)))
}

fn source(row: &Row) -> Result<FhirSource, StoreError> {
    Ok(FhirSource {
        id: row.try_get("id")?,
        patient: row.try_get("patient_id")?,
        data_source: row.try_get("data_source_id")?,
        label: row.try_get("label")?,
        fhir_base_url: row.try_get("fhir_base_url")?,
        last_updated: row.try_get("last_updated")?,
    })
}
