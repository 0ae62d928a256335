//! What belongs to something by a row of its own: the scopes of a study or a data source, the data sources and clients of a study.

use crate::{Store, StoreError, error::refers_to_nothing};
use audit::Context;
use serde_json::Value;
use tokio_postgres::types::{Json, ToSql, Type};

/// What can belong to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Scope,
    DataSource,
    Client,
}

impl Part {
    /// Its table, and the column of its id in tables of links.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Scope => ("scope", "scope_id"),
            Self::DataSource => ("data_source", "data_source_id"),
            Self::Client => ("oauth_client", "client_id"),
        }
    }

    /// Which rows `x` are there to be used.
    const fn usable(self) -> &'static str {
        match self {
            Self::Scope => "true",
            Self::DataSource => "x.deleted_at IS NULL",
            Self::Client => "x.deleted_at IS NULL AND x.owned_by IS NULL",
        }
    }

    /// Which of those can be added: of clients those that patients can be invited to, as the list of clients offers.
    const fn offered(self) -> &'static str {
        match self {
            Self::Scope | Self::DataSource => "true",
            Self::Client => "x.invitation_url IS NOT NULL",
        }
    }

    /// How a row `x` is shown: no secret, and of a client only what every user may know.
    const fn shown(self) -> &'static str {
        match self {
            Self::Scope => {
                "jsonb_build_object('id', x.id, 'codingSystem', x.system, 'codingCode', x.code, 'text', x.text)"
            }
            Self::DataSource => {
                "jsonb_build_object('id', x.id, 'name', x.name, 'type', x.type,
                   'lastUpdated', to_char(x.last_updated AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'))"
            }
            Self::Client => {
                "jsonb_build_object('id', x.id, 'client_id', x.client_id, 'name', x.name, 'invitationUrl', x.invitation_url)"
            }
        }
    }
}

/// A table of links from an owner, `s`, to its parts. All texts are constants of this crate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// The table.
    pub table: &'static str,
    /// The table of the owner, and the column of its id in the table of links.
    pub owner: (&'static str, &'static str),
    /// Which owners are there.
    pub there: &'static str,
    /// What belongs to the owner.
    pub part: Part,
    /// The organizations of the owner, for the audit.
    pub organizations: &'static str,
    /// The studies.
    pub studies: &'static str,
    /// The role that counted.
    pub role: &'static str,
}

impl Link {
    /// The parts of the owner `s`, as a list in JSON.
    pub fn parts(&self) -> String {
        let Self { table, owner: (_, owner), part, .. } = self;
        let ((parts, column), shown, usable) = (part.names(), part.shown(), part.usable());
        format!(
            "coalesce((SELECT jsonb_agg({shown} ORDER BY x.id) FROM {table} l JOIN {parts} x ON x.id = l.{column}
                        WHERE l.{owner} = s.id AND {usable}), '[]')"
        )
    }

    /// 1 audit context, 2 owner, 3 part.
    fn adding(&self) -> String {
        let Self { table, owner: (owners, owner), there, part, organizations, studies, role } = self;
        let ((parts, column), shown, usable, offered) = (part.names(), part.shown(), part.usable(), part.offered());
        format!(
            "
WITH part AS MATERIALIZED (
  SELECT x.id, {shown} AS shown FROM {parts} x WHERE x.id = $3 AND {usable} AND {offered}
), added AS (
  INSERT INTO {table} ({owner}, {column}) SELECT s.id, part.id FROM {owners} s CROSS JOIN part WHERE s.id = $2 AND {there}
  ON CONFLICT DO NOTHING RETURNING *
)
SELECT (SELECT shown FROM part) AS shown,
       audit_record($1, CASE WHEN EXISTS (SELECT FROM part) THEN 'allowed' ELSE 'denied' END,
                    CASE WHEN NOT EXISTS (SELECT FROM part) THEN 'invalid' END,
                    {organizations}, {studies}, '{{}}', '{{}}', {role}, NULL, (SELECT to_jsonb(added) FROM added))
  FROM {owners} s WHERE s.id = $2 AND {there}"
        )
    }

    /// 1 audit context, 2 owner, 3 part.
    fn removing(&self) -> String {
        let Self { table, owner: (owners, owner), there, part, organizations, studies, role } = self;
        let (_, column) = part.names();
        format!(
            "
WITH removed AS (
  DELETE FROM {table} WHERE {owner} = $2 AND {column} = $3 RETURNING *
)
SELECT audit_record($1, 'allowed', NULL, {organizations}, {studies}, '{{}}', '{{}}', {role},
                    (SELECT to_jsonb(removed) FROM removed), NULL)
  FROM {owners} s WHERE s.id = $2 AND {there}"
        )
    }
}

/// What came of adding a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It belongs to the owner: the part as it is shown.
    Done(Value),
    /// There is no such owner.
    NoOwner,
    /// There is no such part.
    NoPart,
}

const TYPES: [Type; 3] = [Type::JSONB, Type::INT4, Type::INT4];

/// Adds a part, with the audit record, in one statement. What is there stays.
pub(crate) async fn add(
    store: &Store,
    context: &Context,
    link: &Link,
    owner: i32,
    part: i32,
) -> Result<Added, StoreError> {
    let client = store.connection().await?;
    let statement = client.prepare_typed_cached(&link.adding(), &TYPES).await?;
    let context = Json(context);
    let values: [&(dyn ToSql + Sync); 3] = [&context, &owner, &part];
    let found = match client.query_opt(&statement, &values).await {
        // The owner or the part was deleted while the statement ran. Now that is seen.
        Err(error) if refers_to_nothing(&error) => client.query_opt(&statement, &values).await?,
        found => found?,
    };
    let Some(row) = found else {
        return Ok(Added::NoOwner);
    };
    Ok(row.try_get::<_, Option<Json<Value>>>("shown")?.map_or(Added::NoPart, |Json(part)| Added::Done(part)))
}

/// Removes a part, with the audit record, in one statement. False: there is no such owner.
pub(crate) async fn remove(
    store: &Store,
    context: &Context,
    link: &Link,
    owner: i32,
    part: i32,
) -> Result<bool, StoreError> {
    let client = store.connection().await?;
    let statement = client.prepare_typed_cached(&link.removing(), &TYPES).await?;
    Ok(client.query_opt(&statement, &[&Json(context), &owner, &part]).await?.is_some())
}
