//! Creating, changing and deleting data sources, and the links of data sources: what they supply, and whose apps bring them.

use super::{DataSource, Scope, scope};
use crate::{
    Changed, Expected, Store, StoreError,
    link::{self, Added, Link, Part},
};
use audit::Context;
use jiff::Timestamp;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// What data sources are linked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceParts {
    /// The scopes that a data source supplies.
    Scopes,
    /// The data sources that a client brings data from.
    OfClient,
}

impl SourceParts {
    const fn link(self) -> Link {
        let (table, owner, there, part) = match self {
            Self::Scopes => {
                ("data_source_scope", ("data_source", "data_source_id"), "s.deleted_at IS NULL", Part::Scope)
            }
            Self::OfClient => (
                "client_data_source",
                ("oauth_client", "client_id"),
                "s.deleted_at IS NULL AND s.owned_by IS NULL",
                Part::DataSource,
            ),
        };
        Link { table, owner, there, part, organizations: "'{}'", studies: "'{}'", role: "NULL" }
    }
}

/// 1 audit context, 2 name, 3 type.
const CREATE: &str = "
WITH d AS (
  INSERT INTO data_source (name, type) VALUES ($2, $3) RETURNING *
)
SELECT d.id, d.name, d.type, d.last_updated, audit_record($1, 'allowed', NULL, '{}', '{}', '{}', '{}', NULL, NULL, to_jsonb(d)) FROM d";

/// 1 audit context, 2 data source, 3 expected times, 4 name (none: as it is), 5 type (none: as it is), 6 whether it is deleted.
/// No row: there is no such data source.
const CHANGE: &str = "
WITH was AS MATERIALIZED (
  SELECT * FROM data_source WHERE id = $2 AND deleted_at IS NULL
), d AS (
  UPDATE data_source x SET name = coalesce($4, x.name), type = coalesce($5, x.type), last_updated = clock_timestamp(),
                           deleted_at = CASE WHEN $6 THEN clock_timestamp() END
    FROM was
   WHERE x.id = was.id AND x.deleted_at IS NULL AND ($3::timestamptz[] IS NULL OR x.last_updated = ANY ($3))
  RETURNING x.*
)
SELECT d.id, d.name, d.type, d.last_updated,
       audit_record($1, CASE WHEN d.id IS NOT NULL THEN 'allowed' ELSE 'denied' END, CASE WHEN d.id IS NULL THEN 'invalid' END,
                    '{}', '{}', '{}', '{}', NULL,
                    CASE WHEN d.id IS NOT NULL THEN to_jsonb(was) END,
                    CASE WHEN d.id IS NOT NULL AND NOT $6 THEN to_jsonb(d) END)
  FROM was LEFT JOIN d ON true";

/// 1 audit context, 2 code system, 3 code, 4 text.
const ADD_SCOPE: &str = "
WITH s AS (
  INSERT INTO scope (system, code, text) VALUES ($2, $3, $4) RETURNING *
)
SELECT s.id, s.system, s.code, s.text, audit_record($1, 'allowed', NULL, '{}', '{}', '{}', '{}', NULL, NULL, to_jsonb(s)) FROM s";

impl Store {
    /// Adds a scope to the catalogue, with the audit record, in one statement.
    pub async fn add_scope(
        &self,
        context: &Context,
        system: &str,
        code: &str,
        text: &str,
    ) -> Result<Scope, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::TEXT, Type::TEXT, Type::TEXT];
        let statement = client.prepare_typed_cached(ADD_SCOPE, &types).await?;
        scope(&client.query_one(&statement, &[&Json(context), &system, &code, &text]).await?)
    }

    /// Creates a data source that supplies nothing yet, with the audit record, in one statement.
    pub async fn create_data_source(
        &self,
        context: &Context,
        name: &str,
        kind: &str,
    ) -> Result<DataSource, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(CREATE, &[Type::JSONB, Type::TEXT, Type::TEXT]).await?;
        source(&client.query_one(&statement, &[&Json(context), &name, &kind]).await?)
    }

    /// Changes what is given of a data source, with the audit record, in one statement: the time of the change.
    pub async fn change_data_source(
        &self,
        context: &Context,
        id: i32,
        expected: &Expected,
        name: Option<&str>,
        kind: Option<&str>,
    ) -> Result<Changed<Timestamp>, StoreError> {
        self.write_data_source(context, id, expected, (name, kind), false).await
    }

    /// Deletes a data source, with the audit record, in one statement. The row stays, because observations name it.
    pub async fn delete_data_source(
        &self,
        context: &Context,
        id: i32,
        expected: &Expected,
    ) -> Result<Changed<Timestamp>, StoreError> {
        self.write_data_source(context, id, expected, (None, None), true).await
    }

    async fn write_data_source(
        &self,
        context: &Context,
        id: i32,
        expected: &Expected,
        (name, kind): (Option<&str>, Option<&str>),
        deletes: bool,
    ) -> Result<Changed<Timestamp>, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::TIMESTAMPTZ_ARRAY, Type::TEXT, Type::TEXT, Type::BOOL];
        let statement = client.prepare_typed_cached(CHANGE, &types).await?;
        let row =
            client.query_opt(&statement, &[&Json(context), &id, &expected.times(), &name, &kind, &deletes]).await?;
        Ok(match row {
            None => Changed::Missing,
            Some(row) => row.try_get::<_, Option<Timestamp>>("last_updated")?.map_or(Changed::Stale, Changed::Done),
        })
    }

    /// Adds a scope to what a data source supplies, or a data source to a client, with the audit record, in one statement.
    pub async fn add_source_part(
        &self,
        context: &Context,
        owner: i32,
        parts: SourceParts,
        part: i32,
    ) -> Result<Added, StoreError> {
        link::add(self, context, &parts.link(), owner, part).await
    }

    /// Removes it, with the audit record, in one statement. False: there is no such data source or client.
    pub async fn remove_source_part(
        &self,
        context: &Context,
        owner: i32,
        parts: SourceParts,
        part: i32,
    ) -> Result<bool, StoreError> {
        link::remove(self, context, &parts.link(), owner, part).await
    }
}

fn source(row: &Row) -> Result<DataSource, StoreError> {
    Ok(DataSource {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        kind: row.try_get("type")?,
        supported_scopes: Vec::new(),
        last_updated: row.try_get("last_updated")?,
    })
}
