//! A backup put into an empty database.

use crate::{JobError, RESOURCE, Settings, keys, list};
use archive::Archive;
use audit::Action;
use backup::{DataKey, Digest, Manifest, Position, Table, chunk_name};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _, stream};
use runtime::{App, Occasion};
use serde_json::{Value, json};
use std::{pin::pin, sync::Arc, time::Instant};
use store::{AppliedMigration, DatabaseConfig, Restoration, StoredSequence};

/// Databases that a server has by itself. They are empty, too; but new databases are copies of `template1` and `template0`, and
/// programs that know no other open `postgres`.
const NOT_OURS: [&str; 3] = ["postgres", "template0", "template1"];

/// How the names of databases end that drills make and drop.
pub(crate) const OF_DRILLS: &str = "_drill";

/// Refuses the name of a database that is none of an application's.
pub fn check_name(name: &str) -> Result<(), JobError> {
    if NOT_OURS.contains(&name) {
        return Err(JobError::NotOurs(name.to_owned()));
    }
    if name.ends_with(OF_DRILLS) {
        return Err(JobError::OfDrills(name.to_owned()));
    }
    Ok(())
}

/// Restores a backup into an empty database as its owner, and applies the migrations that came since. All of it or nothing.
pub async fn restore(app: &App, id: &str, into: &DatabaseConfig, occasion: &Occasion) -> Result<Value, JobError> {
    check_name(&into.name)?;
    fill_empty(app, id, into, occasion).await
}

/// The same, whatever the database is called.
pub(crate) async fn fill_empty(
    app: &App,
    id: &str,
    into: &DatabaseConfig,
    occasion: &Occasion,
) -> Result<Value, JobError> {
    let began = Instant::now();
    let settings = Settings::of(app)?;
    let archive = settings.archive(app)?;
    let manifest = list::verified(app, &settings, &archive, id).await?;
    let key = Arc::new(keys::unwrap(app, &settings, &manifest.key, id).await?);
    let migrations: Vec<AppliedMigration> = manifest.migrations.iter().map(applied).collect();
    let restoration = Restoration::begin(into, &migrations).await?;
    let names: Vec<&str> = manifest.tables.iter().map(|table| table.name.as_str()).collect();
    restoration.all_are_among(&names)?;
    for table in &manifest.tables {
        fill(&restoration, &archive, &key, &manifest, table).await?;
        tracing::info!(table = table.name, rows = table.contents.rows, bytes = table.contents.bytes, "restored");
    }
    restoration.set(&manifest.sequences.iter().map(sequence).collect::<Vec<_>>()).await?;
    let later = restoration.finish(&occasion.audit(Action::Execute, RESOURCE)).await?;
    Ok(json!({
        "outcome": "restored",
        "backup": id,
        "taken_at": manifest.created_at,
        "database": into.name,
        "schema_version": manifest.schema_version(),
        "later_migrations": later,
        "tables": manifest.tables.len(),
        "rows": manifest.rows(),
        "bytes": manifest.bytes(),
        "seconds": began.elapsed().as_secs_f64(),
    }))
}

fn applied(one: &backup::Migration) -> AppliedMigration {
    AppliedMigration { version: one.version, name: one.name.clone(), checksum: one.checksum.clone() }
}

fn sequence(one: &backup::Sequence) -> StoredSequence {
    StoredSequence { name: one.name.clone(), last: one.last }
}

/// Fills a table, reads it again, and compares it with what was backed up.
async fn fill(
    restoration: &Restoration,
    archive: &Archive,
    key: &Arc<DataKey>,
    manifest: &Manifest,
    table: &Table,
) -> Result<(), JobError> {
    let stored = restoration.table(&table.name, &table.columns)?;
    restoration.fill(stored, chunks(archive, key, manifest, table)).await?;
    let mut rows = pin!(restoration.rows(stored).await?);
    let mut digest = Digest::default();
    while let Some(row) = rows.try_next().await? {
        digest.update(&row);
    }
    let found = digest.finish()?;
    if found == table.contents {
        return Ok(());
    }
    let expected = Box::new(table.contents.clone());
    Err(JobError::Differs { table: table.name.clone(), expected, found: Box::new(found) })
}

/// The text of a table, chunk by chunk.
fn chunks<'a>(
    archive: &'a Archive,
    key: &'a Arc<DataKey>,
    manifest: &'a Manifest,
    table: &'a Table,
) -> impl Stream<Item = Result<Bytes, JobError>> + 'a {
    stream::try_unfold(0_u32, move |index| async move {
        if index >= table.chunks {
            return Ok(None);
        }
        let next = index.saturating_add(1);
        // What a request to S3 takes is not part of every future around it.
        let chunk = Box::pin(archive.get(&chunk_name(&manifest.id, &table.name, index))).await?;
        let chunk = chunk.ok_or_else(|| JobError::Missing(table.name.clone(), index))?;
        let (key, prefix) = (Arc::clone(key), table.prefix);
        let (id, name, is_last) = (manifest.id.clone(), table.name.clone(), next == table.chunks);
        let opened = tokio::task::spawn_blocking(move || {
            key.open(prefix, Position { backup: &id, table: &name, index, is_last }, chunk)
        });
        let text = opened.await.map_err(|_| JobError::Ended)??;
        Ok(Some((Bytes::from(text), next)))
    })
}
