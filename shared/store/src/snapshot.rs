//! All tables as they were at one moment: for backups, and to compare what was restored.

use crate::{DatabaseConfig, LoginError, StoreError, migrate::connect_owner};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use jiff::Timestamp;
use tokio_postgres::Client;

/// A value has one text, whoever asks for it, and a table of any size may take its time. Synchronized scans would begin anywhere.
const SETTINGS: &str = "
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL intervalstyle = 'iso_8601';
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex';
SET LOCAL client_encoding = 'UTF8';
SET LOCAL search_path = public, pg_temp;
SET LOCAL synchronize_seqscans = off;
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0";

/// The tables of the product and their columns, by name: a part of a table is no table of its own, and what is generated is no
/// column. The quoted names are for [`StoredTable`] alone.
const TABLES: &str = "
SELECT c.relname::text, quote_ident(c.relname),
       array_agg(a.attname::text ORDER BY a.attname COLLATE \"C\"),
       string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE \"C\")
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
 GROUP BY c.oid, c.relname ORDER BY c.relname COLLATE \"C\"";

/// The sequences of the product, and the last number that each gave.
const SEQUENCES: &str = "
SELECT c.relname::text, pg_sequence_last_value(c.oid)
  FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S'
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
 ORDER BY c.relname COLLATE \"C\"";

/// Where the server's log of changes is; on a replica, how far it has come.
const MOMENT: &str = "
SELECT now(), current_setting('server_version_num')::int,
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text";

/// A table as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTable {
    /// Its name.
    pub name: String,
    /// Its columns by name: their order in the database depends on its history.
    pub columns: Vec<String>,
    /// The name and the columns as PostgreSQL itself quotes them. Utility statements take no parameters.
    pub(crate) quoted: (String, String),
}

/// A sequence as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSequence {
    /// Its name.
    pub name: String,
    /// The last number that it gave.
    pub last: Option<i64>,
}

/// A migration that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedMigration {
    /// Its number.
    pub version: i32,
    /// Its name.
    pub name: String,
    /// What tells it from another one with the same number.
    pub checksum: String,
}

/// When and where a snapshot is.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The time.
    pub at: Timestamp,
    /// The version of the server, as a number.
    pub server_version: i32,
    /// Where the server's log of changes was.
    pub lsn: String,
}

/// One moment of a database. Nobody waits for whoever reads it, and it ends with the connection.
pub struct Snapshot(Client);

impl Snapshot {
    /// The present, for a member of the role that may read everything and change nothing.
    pub async fn open(login: &DatabaseConfig) -> Result<Self, LoginError> {
        let client = connect_owner(login).await?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL ROLE jhe_backup";
        client.batch_execute(begin).await.map_err(StoreError::from)?;
        client.batch_execute(SETTINGS).await.map_err(StoreError::from)?;
        Ok(Self(client))
    }

    /// When and where it is.
    pub async fn moment(&self) -> Result<Moment, StoreError> {
        let row = self.0.query_one(MOMENT, &[]).await?;
        Ok(Moment { at: row.try_get(0)?, server_version: row.try_get(1)?, lsn: row.try_get(2)? })
    }

    /// The migrations that had been applied.
    pub async fn migrations(&self) -> Result<Vec<AppliedMigration>, StoreError> {
        let rows =
            self.0.query("SELECT version, name, checksum FROM refinery_schema_history ORDER BY version", &[]).await?;
        let migration = |row: &tokio_postgres::Row| {
            Ok(AppliedMigration { version: row.try_get(0)?, name: row.try_get(1)?, checksum: row.try_get(2)? })
        };
        rows.iter().map(migration).collect()
    }

    /// The tables.
    pub async fn tables(&self) -> Result<Vec<StoredTable>, StoreError> {
        tables(&self.0).await
    }

    /// The sequences. They are not of the snapshot but of a moment later: no number is given twice.
    pub async fn sequences(&self) -> Result<Vec<StoredSequence>, StoreError> {
        sequences(&self.0).await
    }

    /// The rows of a table as text, in pieces.
    pub async fn rows(
        &self,
        table: &StoredTable,
    ) -> Result<impl Stream<Item = Result<Bytes, StoreError>> + Send + use<>, StoreError> {
        rows(&self.0, table).await
    }
}

/// Gives the settings that make a value's text the same everywhere to a transaction.
pub(crate) async fn settle(client: &Client) -> Result<(), StoreError> {
    Ok(client.batch_execute(SETTINGS).await?)
}

pub(crate) async fn tables(client: &Client) -> Result<Vec<StoredTable>, StoreError> {
    let rows = client.query(TABLES, &[]).await?;
    let table = |row: &tokio_postgres::Row| {
        Ok(StoredTable { name: row.try_get(0)?, columns: row.try_get(2)?, quoted: (row.try_get(1)?, row.try_get(3)?) })
    };
    rows.iter().map(table).collect()
}

pub(crate) async fn sequences(client: &Client) -> Result<Vec<StoredSequence>, StoreError> {
    let rows = client.query(SEQUENCES, &[]).await?;
    rows.iter().map(|row| Ok(StoredSequence { name: row.try_get(0)?, last: row.try_get(1)? })).collect()
}

pub(crate) async fn rows(
    client: &Client,
    table: &StoredTable,
) -> Result<impl Stream<Item = Result<Bytes, StoreError>> + Send + use<>, StoreError> {
    let (name, columns) = &table.quoted;
    let stream = client.copy_out(&format!("COPY (SELECT {columns} FROM {name}) TO STDOUT")).await?;
    Ok(stream.map_err(StoreError::from))
}
