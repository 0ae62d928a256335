//! A backup, put into an empty database: all of it in one transaction, or nothing.
//!
//! The transaction makes the tables by the migrations that the backup's database had, fills them without their triggers and
//! foreign keys, brings both back, and then applies what migrations came since. Whatever goes wrong before it is committed, the
//! database is as empty as it was.

use crate::{
    AppliedMigration, DatabaseConfig, LoginError, StoreError, StoredSequence, StoredTable,
    inspection::definitions_by,
    migrate::{connect_owner, known_migrations, migrations},
    snapshot,
};
use audit::Context;
use bytes::Bytes;
use futures_util::{SinkExt as _, Stream, TryStreamExt as _};
use std::{collections::BTreeMap, pin::pin};
use tokio_postgres::{Client, types::Json};

/// Why a backup cannot be put into a database.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Something is there already.
    #[error("the database {database} is not empty: it has {found}")]
    NotEmpty {
        /// The database.
        database: String,
        /// The first thing that was found.
        found: String,
    },
    /// The backup is of a later version.
    #[error("the backup has migration {0}, which this version does not know: restore it with a later version")]
    Newer(i32),
    /// A migration of the backup is another one here.
    #[error("the backup was made after another migration {0} than this version has")]
    OtherMigration(i32),
    /// The tables of the backup are not those that its migrations make.
    #[error("the backup and its migrations disagree about {0}")]
    OtherSchema(String),
    /// The migrations before and after filled the tables are not the same.
    #[error("the schema is not as it was before the rows came: {0}")]
    Changed(String),
    /// The database.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// A statement.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// As refinery makes it.
const HISTORY: &str = "
CREATE TABLE refinery_schema_history (version INT4 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255))";

/// What a database holds that is not empty.
const FOUND: &str = "
SELECT c.relname::text FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind NOT IN ('i', 'I')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
UNION ALL
SELECT t.typname::text FROM pg_type t
 WHERE t.typnamespace = 'public'::regnamespace AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype IN ('e', 'i'))
LIMIT 1";

/// Statements that take the foreign keys away, and those that bring them back.
const FOREIGN_KEYS: &str = "
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid))
  FROM pg_constraint k
 WHERE k.contype = 'f' AND k.conparentid = 0 AND k.connamespace = 'public'::regnamespace
 ORDER BY k.conrelid::regclass::text, k.conname";

/// Statements that silence the triggers of the product, and those that wake them.
const TRIGGERS: &str = "
SELECT DISTINCT format('ALTER TABLE %s DISABLE TRIGGER USER', g.tgrelid::regclass),
                format('ALTER TABLE %s ENABLE TRIGGER USER', g.tgrelid::regclass)
  FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
 WHERE NOT g.tgisinternal AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
 ORDER BY 1";

/// What was announced before the backup is announced anew: a hold, a decision or a policy may have come since that is not in it.
const ANNOUNCE_ANEW: &str = "
UPDATE retention_plan p SET noticed_at = clock_timestamp(), delete_after = clock_timestamp() + make_interval(days => f.notice_days)
  FROM retention_floor f WHERE p.noticed_at IS NOT NULL AND p.finished_at IS NULL";

/// The database while it is filled. When it is dropped, nothing was done.
pub struct Restoration {
    client: Client,
    tables: Vec<StoredTable>,
    /// What to do once the rows are there.
    afterwards: Vec<String>,
    /// The schema as the migrations make it.
    before: BTreeMap<String, String>,
    /// The last migration of the backup.
    version: i32,
}

impl Restoration {
    /// Makes the tables as these migrations made them. The database has to be empty, and the owner is who will own it.
    pub async fn begin(owner: &DatabaseConfig, migrations: &[AppliedMigration]) -> Result<Self, RestoreError> {
        let version = known(migrations)?;
        let client = connect_owner(owner).await?;
        execute(&client, "BEGIN").await?;
        snapshot::settle(&client).await?;
        if let Some(row) = client.query_opt(FOUND, &[]).await.map_err(StoreError::from)? {
            let found = row.try_get(0).map_err(StoreError::from)?;
            return Err(RestoreError::NotEmpty { database: owner.name.clone(), found });
        }
        execute(&client, HISTORY).await?;
        apply(&client, |number| number <= version).await?;
        let before = definitions_by(&client).await?;
        let mut afterwards = pairs(&client, FOREIGN_KEYS).await?;
        let triggers = pairs(&client, TRIGGERS).await?;
        for (remove, _) in afterwards.iter().chain(&triggers) {
            execute(&client, remove).await?;
        }
        afterwards.extend(triggers);
        let tables = snapshot::tables(&client).await?;
        // What migrations bring with them is in the backup too, as it was then.
        let names: Vec<&str> = tables.iter().map(|table| table.quoted.0.as_str()).collect();
        execute(&client, &format!("TRUNCATE {}", names.join(", "))).await?;
        Ok(Self { client, tables, afterwards: afterwards.into_iter().map(|(_, back)| back).collect(), before, version })
    }

    /// The table with this name and these columns.
    pub fn table(&self, name: &str, columns: &[String]) -> Result<&StoredTable, RestoreError> {
        let found = self.tables.iter().find(|table| table.name == name && table.columns == columns);
        found.ok_or_else(|| RestoreError::OtherSchema(name.to_owned()))
    }

    /// Fails when the backup has not all tables that its migrations make.
    pub fn all_are_among(&self, names: &[&str]) -> Result<(), RestoreError> {
        let missing = self.tables.iter().find(|table| !names.contains(&table.name.as_str()));
        missing.map_or(Ok(()), |table| Err(RestoreError::OtherSchema(table.name.clone())))
    }

    /// Fills a table with the text of its rows.
    pub async fn fill<E: From<RestoreError>>(
        &self,
        table: &StoredTable,
        text: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<(), E> {
        let (name, columns) = &table.quoted;
        let failed = |error| E::from(RestoreError::from(StoreError::from(error)));
        let copy = format!("COPY {name} ({columns}) FROM STDIN");
        let sink = self.client.copy_in::<_, Bytes>(&copy).await.map_err(failed)?;
        let (mut sink, mut text) = (pin!(sink), pin!(text));
        while let Some(piece) = text.try_next().await? {
            sink.as_mut().send(piece).await.map_err(failed)?;
        }
        sink.finish().await.map(drop).map_err(failed)
    }

    /// The rows of a table as text, in pieces.
    pub async fn rows(
        &self,
        table: &StoredTable,
    ) -> Result<impl Stream<Item = Result<Bytes, StoreError>> + Send + use<>, StoreError> {
        snapshot::rows(&self.client, table).await
    }

    /// Sets the sequences, which have to be those of the backup.
    pub async fn set(&self, sequences: &[StoredSequence]) -> Result<(), RestoreError> {
        const SET: &str = "SELECT setval(c.oid, coalesce($2, s.seqstart), $2 IS NOT NULL)
            FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid WHERE c.relnamespace = 'public'::regnamespace AND c.relname = $1";
        let mut own: Vec<String> =
            snapshot::sequences(&self.client).await?.into_iter().map(|sequence| sequence.name).collect();
        for sequence in sequences {
            let set = self.client.query_opt(SET, &[&sequence.name, &sequence.last]).await.map_err(StoreError::from)?;
            set.ok_or_else(|| RestoreError::OtherSchema(sequence.name.clone()))?;
            own.retain(|name| *name != sequence.name);
        }
        own.pop().map_or(Ok(()), |name| Err(RestoreError::OtherSchema(name)))
    }

    /// Brings keys and triggers back, applies the migrations that the backup has not, records it, and makes it last. Gives the
    /// number of those migrations.
    pub async fn finish(self, context: &Context) -> Result<usize, RestoreError> {
        for statement in &self.afterwards {
            execute(&self.client, statement).await?;
        }
        let after = definitions_by(&self.client).await?;
        // The rows of the history are among the definitions, and were not there before.
        let is_same =
            |(name, text): (&String, &String)| name.starts_with("migration ") || self.before.get(name) == Some(text);
        if let Some((name, _)) = after.iter().find(|part| !is_same(*part)) {
            return Err(RestoreError::Changed(name.clone()));
        }
        if let Some(name) = self.before.keys().find(|name| !after.contains_key(*name)) {
            return Err(RestoreError::Changed(name.clone()));
        }
        let applied = apply(&self.client, |number| number > self.version).await?;
        self.remember().await?;
        execute(&self.client, ANNOUNCE_ANEW).await?;
        let record = "SELECT audit_record($1, 'allowed', NULL, '{}', '{}', '{}', '{}')";
        self.client.query_one(record, &[&Json(context)]).await.map_err(StoreError::from)?;
        execute(&self.client, "COMMIT").await?;
        Ok(applied)
    }

    /// Writes the migrations that were applied here into the history, as refinery would.
    async fn remember(&self) -> Result<(), RestoreError> {
        const REMEMBER: &str = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
            VALUES ($1, $2, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"000Z\"'), $3)";
        for migration in known_migrations().into_iter().filter(|migration| migration.version > self.version) {
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                [&migration.version, &migration.name, &migration.checksum];
            self.client.execute(REMEMBER, &values).await.map_err(StoreError::from)?;
        }
        Ok(())
    }
}

/// The number of the last migration, once it is known that this version has all of them.
fn known(migrations: &[AppliedMigration]) -> Result<i32, RestoreError> {
    let own = known_migrations();
    let newest = own.last().map_or(0, |migration| migration.version);
    let version = migrations.last().map_or(0, |migration| migration.version);
    if version > newest {
        return Err(RestoreError::Newer(version));
    }
    let expected = own.iter().filter(|migration| migration.version <= version);
    let mut others = migrations.iter();
    for migration in expected {
        if others.next() != Some(migration) {
            return Err(RestoreError::OtherMigration(migration.version));
        }
    }
    others.next().map_or(Ok(version), |migration| Err(RestoreError::OtherMigration(migration.version)))
}

/// Applies the migrations with these numbers, in order.
async fn apply(client: &Client, is_wanted: impl Fn(i32) -> bool) -> Result<usize, RestoreError> {
    let mut applied = 0;
    for (number, text) in migrations() {
        if is_wanted(number) {
            execute(client, &text).await?;
            // Some have a search path of their own for what they do.
            snapshot::settle(client).await?;
            applied += 1;
        }
    }
    Ok(applied)
}

async fn execute(client: &Client, statement: &str) -> Result<(), StoreError> {
    Ok(client.batch_execute(statement).await?)
}

async fn pairs(client: &Client, statement: &str) -> Result<Vec<(String, String)>, StoreError> {
    let rows = client.query(statement, &[]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
