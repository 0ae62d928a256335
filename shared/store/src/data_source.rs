//! Data sources and the scopes that they can supply: a catalogue, the same for every caller.

mod change;

pub use change::SourceParts;

use crate::{
    DirectoryFilter, DirectoryPage, Slice, Store, StoreError, directory,
    page::{self, Order, Page},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// A scope: a kind of health data that a study can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// From 50001.
    pub id: i32,
    /// The code system's URI.
    pub coding_system: String,
    /// The code.
    pub coding_code: String,
    /// The code in words.
    pub text: String,
}

/// A data source, a FHIR Device.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataSource {
    /// From 70001.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// `personal_device` or `patient_app`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it can supply.
    pub supported_scopes: Vec<Scope>,
    /// When it last changed.
    #[serde(skip, default)]
    pub last_updated: Timestamp,
}

/// What the data source `d` supplies, as a list in JSON.
const SUPPORTED: &str = "
coalesce((SELECT jsonb_agg(jsonb_build_object('id', s.id, 'codingSystem', s.system, 'codingCode', s.code, 'text', s.text) ORDER BY s.id)
            FROM data_source_scope x JOIN scope s ON s.id = x.scope_id
           WHERE x.data_source_id = d.id), '[]')";

/// 1 ids, 2 whether deleted ones too.
static LIST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
SELECT d.id, d.name, d.type, d.last_updated,
       {SUPPORTED} AS supported_scopes
  FROM data_source d
 WHERE (cardinality($1::int[]) = 0 OR d.id = ANY ($1))
   AND ($2 OR d.deleted_at IS NULL)"
    )
});

static ALL: LazyLock<String> = LazyLock::new(|| format!("{}\n ORDER BY d.id", *LIST));

static PAGE: LazyLock<String> = LazyLock::new(|| page::statement(&LIST, Order::Id, 3));

static SEARCH: LazyLock<String> = LazyLock::new(|| directory::statement(&LIST, "'{}'::int[]", 3));

/// The data sources of the client `$1` as a list in JSON.
static OF_CLIENT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
SELECT coalesce((SELECT jsonb_agg(jsonb_build_object('id', d.id, 'name', d.name, 'type', d.type, 'supportedScopes', {SUPPORTED}) ORDER BY d.id)
                   FROM client_data_source l JOIN data_source d ON d.id = l.data_source_id AND d.deleted_at IS NULL
                  WHERE l.client_id = c.id), '[]') AS sources
  FROM oauth_client c WHERE c.id = $1 AND c.deleted_at IS NULL AND c.owned_by IS NULL"
    )
});

impl Store {
    /// The data sources; with ids, only those.
    pub async fn data_sources(&self, ids: &[i32]) -> Result<Vec<DataSource>, StoreError> {
        self.sources(ids, false).await
    }

    /// A page of the data sources, by id.
    pub async fn data_source_page(&self, slice: Slice) -> Result<Page<DataSource>, StoreError> {
        let client = self.connection().await?;
        let types = [[Type::INT4_ARRAY, Type::BOOL].as_slice(), &page::TYPES].concat();
        let statement = client.prepare_typed_cached(&PAGE, &types).await?;
        let page = page::Values::from(slice);
        let every = [0_i32; 0].as_slice();
        let rows = client.query(&statement, &[&every, &false, &page.after, &page.count, &page.skip, &page.far]).await?;
        page::read(&rows, source)
    }

    /// A search of the data sources. They are everybody's to see.
    pub async fn find_data_sources(&self, filter: &DirectoryFilter) -> Result<DirectoryPage<DataSource>, StoreError> {
        let client = self.connection().await?;
        let types = [[Type::INT4_ARRAY, Type::BOOL].as_slice(), &directory::TYPES].concat();
        let statement = client.prepare_typed_cached(&SEARCH, &types).await?;
        let values = directory::Values::from(filter);
        let rows = client.query(&statement, &values.following(&[&filter.ids, &false])).await?;
        directory::read(&rows, source)
    }

    /// The data source with this id, deleted or not: observations name it.
    pub async fn data_source(&self, id: i32) -> Result<Vec<DataSource>, StoreError> {
        self.sources(&[id], true).await
    }

    /// The data sources of a registered client; none when there is no such client.
    pub async fn client_data_sources(&self, id: i32) -> Result<Option<Vec<DataSource>>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(&OF_CLIENT, &[Type::INT4]).await?;
        let row = client.query_opt(&statement, &[&id]).await?;
        row.map(|row| Ok(row.try_get::<_, Json<Vec<DataSource>>>("sources")?.0)).transpose()
    }

    async fn sources(&self, ids: &[i32], deleted_too: bool) -> Result<Vec<DataSource>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(&ALL, &[Type::INT4_ARRAY, Type::BOOL]).await?;
        client.query(&statement, &[&ids, &deleted_too]).await?.iter().map(source).collect()
    }

    /// Every scope that a study can ask for.
    pub async fn scopes(&self) -> Result<Vec<Scope>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_cached("SELECT id, system, code, text FROM scope ORDER BY id").await?;
        let rows = client.query(&statement, &[]).await?;
        rows.iter().map(scope).collect()
    }
}

fn source(row: &Row) -> Result<DataSource, StoreError> {
    Ok(DataSource {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        kind: row.try_get("type")?,
        last_updated: row.try_get("last_updated")?,
        supported_scopes: row.try_get::<_, Json<Vec<Scope>>>("supported_scopes")?.0,
    })
}

fn scope(row: &Row) -> Result<Scope, StoreError> {
    Ok(Scope {
        id: row.try_get("id")?,
        coding_system: row.try_get("system")?,
        coding_code: row.try_get("code")?,
        text: row.try_get("text")?,
    })
}
