//! A backup made.

use crate::{JobError, NO_BACKUP, RESOURCE, Settings, keys, list};
use archive::Archive;
use audit::Action;
use backup::{
    CHUNK, DataKey, Digest, FORMAT, Kept, Manifest, Migration, Position, Prefix, Sequence, Table, chunk_name, kept,
    manifest_name,
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use oauth::token::random_bytes;
use runtime::{App, Occasion};
use serde_json::{Value, json};
use std::{pin::pin, sync::Arc, time::Instant};
use store::{Moment, NewBackupRun, RunKind, Snapshot, StoreError, StoredTable};
use tokio::sync::mpsc;

/// One a day, by calls of every hour: whenever a host starts anew, the next one is a day after the last. One that failed is made
/// again by the next call.
const DUE: SignedDuration = SignedDuration::from_mins(23 * 60 + 30);

/// What was never finished is removed when nobody can be at work on it any more.
const ABANDONED: SignedDuration = SignedDuration::from_hours(48);

/// Makes a backup, unless there is a place for none or the last one there is of today.
pub async fn create_if_due(app: &App, occasion: &Occasion) -> Result<Value, JobError> {
    let Some(place) = Settings::place(app) else {
        return Ok(json!({ "outcome": "no place", "setting": "BACKUP_TO" }));
    };
    let last = app.store().await?.last_backup_run(RunKind::Backup, Some(&place)).await?;
    match last.filter(|run| run.succeeded && app.now().duration_since(run.taken_at) < DUE) {
        Some(run) if !occasion.asks("now") => Ok(json!({ "outcome": "not due", "last": run.taken_at })),
        _ => create(app, occasion).await,
    }
}

/// Makes a backup, and forgets those that are kept no longer. What came of it is remembered, whatever it is.
pub async fn create(app: &App, occasion: &Occasion) -> Result<Value, JobError> {
    let began_at = app.now();
    let made = attempt(app).await;
    let place = Settings::place(app);
    let failed;
    let (backup, taken_at, report) = match &made {
        Ok((manifest, report)) => (manifest.id.as_str(), manifest.created_at, report),
        Err(error) => {
            failed = json!({ "outcome": "failed", "place": place, "why": error.to_string() });
            (NO_BACKUP, began_at, &failed)
        }
    };
    let run = NewBackupRun { kind: RunKind::Backup, backup, taken_at, began_at, succeeded: made.is_ok(), report };
    let remembered = record(app, occasion, Action::Create, &run).await;
    let (_, report) = made?;
    remembered?;
    Ok(report)
}

/// Remembers a run. Of one that failed, why it failed is told first, and that it could not be remembered is logged.
pub(crate) async fn record(
    app: &App,
    occasion: &Occasion,
    action: Action,
    run: &NewBackupRun<'_>,
) -> Result<(), JobError> {
    let context = occasion.audit(action, RESOURCE);
    let recorded = async { Ok::<_, JobError>(app.store().await?.record_backup_run(&context, run).await?) }.await;
    if let Err(error) = &recorded {
        tracing::error!(%error, "not remembered");
    }
    recorded
}

/// Makes a backup: its manifest, and what there is to be said of it.
async fn attempt(app: &App) -> Result<(Manifest, Value), JobError> {
    let settings = Settings::of(app)?;
    let archive = Arc::new(settings.archive(app)?);
    let began = Instant::now();
    let snapshot = Snapshot::open(&app.backup_login()?).await?;
    let moment = snapshot.moment().await?;
    let (manifest, stored) = write(app, &settings, &archive, &snapshot, &moment).await?;
    drop(snapshot);
    let report = json!({
        "outcome": "made",
        "backup": manifest.id,
        "place": settings.place,
        "taken_at": manifest.created_at,
        "schema_version": manifest.schema_version(),
        "tables": manifest.tables.len(),
        "rows": manifest.rows(),
        "bytes": manifest.bytes(),
        "stored_bytes": stored,
        "seconds": began.elapsed().as_secs_f64(),
        "forgotten": forget(app, &settings, &archive)?,
    });
    Ok((manifest, report))
}

async fn write(
    app: &App,
    settings: &Settings,
    archive: &Arc<Archive>,
    snapshot: &Snapshot,
    moment: &Moment,
) -> Result<(Manifest, u64), JobError> {
    let id = id(moment.at)?;
    let (key, wrapped) = keys::data_key(app, settings, &id).await?;
    let writer = Writer { id: id.clone(), key: Arc::new(key), archive: Arc::clone(archive) };
    let (mut tables, mut stored) = (Vec::new(), 0_u64);
    for table in snapshot.tables().await? {
        let (table, bytes) = writer.table(snapshot, &table).await?;
        tracing::info!(
            table = table.name,
            rows = table.contents.rows,
            bytes = table.contents.bytes,
            stored_bytes = bytes,
            "written"
        );
        tables.push(table);
        stored = stored.saturating_add(bytes);
    }
    let migrations = snapshot.migrations().await?.into_iter();
    let sequences = snapshot.sequences().await?.into_iter();
    let manifest = Manifest {
        format: FORMAT,
        id: id.clone(),
        site: app.settings.site_url.clone(),
        created_at: moment.at,
        lsn: moment.lsn.clone(),
        server_version: moment.server_version,
        migrations: migrations
            .map(|one| Migration { version: one.version, name: one.name, checksum: one.checksum })
            .collect(),
        tables,
        sequences: sequences.map(|one| Sequence { name: one.name, last: one.last }).collect(),
        key: wrapped,
    };
    // The last thing that is written: what is interrupted before has none, and is no backup.
    let signed = keys::sign(app, settings, manifest.to_text()?).await?;
    put(archive, &manifest_name(&id), signed.to_bytes()?).await?;
    Ok((manifest, stored))
}

/// How ids say their time. In the order of ids backups are in the order of their times.
const TIME: &str = "%Y%m%dT%H%M%S-%6fZ";

/// The time, and something that no other backup has.
fn id(at: Timestamp) -> Result<String, JobError> {
    let random = u64::from_be_bytes(random_bytes::<8>()?);
    Ok(format!("{}-{random:016x}", at.strftime(TIME)))
}

/// Writes tables of one backup.
struct Writer {
    id: String,
    key: Arc<DataKey>,
    archive: Arc<Archive>,
}

/// A piece of a table's text, and whether it is the last one.
struct Piece {
    text: Vec<u8>,
    is_last: bool,
}

impl Writer {
    /// Reads a table and writes its chunks, both at once. Gives what is to be known of it, and how much was stored.
    async fn table(&self, snapshot: &Snapshot, table: &StoredTable) -> Result<(Table, u64), JobError> {
        let prefix = Prefix::generate()?;
        // One piece is read, one waits, one is being compressed: no more are in memory.
        let (send, receive) = mpsc::channel(1);
        let rows = snapshot.rows(table).await?;
        let read = async { read(rows, send).await };
        let (digest, (chunks, stored)) = tokio::try_join!(read, self.chunks(&table.name, prefix, receive))?;
        let contents = digest.finish()?;
        let (name, columns) = (table.name.clone(), table.columns.clone());
        Ok((Table { name, columns, contents, chunks, prefix }, stored))
    }

    async fn chunks(
        &self,
        table: &str,
        prefix: Prefix,
        mut pieces: mpsc::Receiver<Piece>,
    ) -> Result<(u32, u64), JobError> {
        let (mut index, mut stored) = (0_u32, 0_u64);
        while let Some(Piece { text, is_last }) = pieces.recv().await {
            let (key, id, name) = (Arc::clone(&self.key), self.id.clone(), table.to_owned());
            let sealed = tokio::task::spawn_blocking(move || {
                key.seal(prefix, Position { backup: &id, table: &name, index, is_last }, &text)
            });
            let chunk = sealed.await.map_err(|_| JobError::Ended)??;
            stored = stored.saturating_add(chunk.len() as u64);
            put(&self.archive, &chunk_name(&self.id, table, index), chunk).await?;
            index = index.checked_add(1).ok_or_else(|| backup::FormatError::TooLarge(table.to_owned()))?;
        }
        Ok((index, stored))
    }
}

/// Writes an object that nobody else wrote. Where one is there already in a bucket, it is this one: its name is of this backup
/// alone, so it was written by a request whose answer was lost. Whoever else had put it there could not have sealed it, and it would
/// not open.
async fn put(archive: &Archive, name: &str, bytes: Vec<u8>) -> Result<(), JobError> {
    if archive.add(name, bytes).await? {
        return Ok(());
    }
    if archive.removable().is_some() {
        return Err(JobError::Exists(name.to_owned()));
    }
    tracing::info!(name, "it is there already: the answer to an earlier request was lost");
    Ok(())
}

/// Cuts the text of a table into pieces.
async fn read(
    rows: impl Stream<Item = Result<Bytes, StoreError>>,
    send: mpsc::Sender<Piece>,
) -> Result<Digest, JobError> {
    let mut rows = pin!(rows);
    let (mut digest, mut text) = (Digest::default(), Vec::with_capacity(CHUNK));
    while let Some(row) = rows.try_next().await? {
        digest.update(&row);
        let mut rest = row.as_ref();
        while text.len().saturating_add(rest.len()) > CHUNK {
            let (fits, after) = rest.split_at(CHUNK.saturating_sub(text.len()).min(rest.len()));
            text.extend_from_slice(fits);
            rest = after;
            let full = std::mem::replace(&mut text, Vec::with_capacity(CHUNK));
            give(&send, full, false).await?;
        }
        text.extend_from_slice(rest);
    }
    give(&send, text, true).await?;
    Ok(digest)
}

async fn give(send: &mpsc::Sender<Piece>, text: Vec<u8>, is_last: bool) -> Result<(), JobError> {
    send.send(Piece { text, is_last }).await.map_err(|_| JobError::Ended)
}

/// Removes what the policy keeps no longer, and what was never finished. Gives the ids.
fn forget(app: &App, settings: &Settings, archive: &Archive) -> Result<Vec<String>, JobError> {
    // By the directory alone: who makes backups in a bucket need not be able to read there.
    let Some(directory) = archive.removable() else { return Ok(Vec::new()) };
    let (mut finished, mut abandoned) = (Vec::new(), Vec::new());
    for id in list::ids(directory.groups()?) {
        // One whose name says no time is not of this program.
        let Some(at) = time_of(&id) else { continue };
        if directory.has(&manifest_name(&id))? {
            finished.push((id, at));
        } else if app.now().duration_since(at) > ABANDONED {
            abandoned.push(id);
        }
    }
    let times: Vec<Timestamp> = finished.iter().map(|(_, at)| *at).collect();
    let unwanted = finished.into_iter().zip(kept(&times, settings.keep)).filter(|(_, kept)| *kept == Kept::No);
    let unwanted: Vec<String> = unwanted.map(|((id, _), _)| id).chain(abandoned).collect();
    for id in &unwanted {
        directory.remove(id)?;
    }
    Ok(unwanted)
}

/// The time that an id says.
fn time_of(id: &str) -> Option<Timestamp> {
    let (time, _) = id.rsplit_once('-')?;
    let time = jiff::civil::DateTime::strptime(TIME, time).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws::testing::Scripted;

    #[tokio::test]
    async fn what_was_written_by_a_request_whose_answer_was_lost_is_written() {
        let s3 = Scripted::answering(&[(412, "PreconditionFailed")]);
        let archive = Archive::open("s3://bucket/jhe", |name| s3.variable(name)).unwrap();
        put(&archive, "a/b", b"one".to_vec()).await.unwrap();
        assert_eq!(s3.asked(), 1);
    }

    #[test]
    fn an_id_says_its_time() {
        let at: Timestamp = "2026-03-01T12:00:00.012345Z".parse().unwrap();
        let (one, other) = (id(at).unwrap(), id(at).unwrap());
        assert_ne!(one, other);
        assert!(backup::is_id(&one), "{one}");
        assert_eq!(time_of(&one), Some(at));
        assert_eq!(time_of("lost+found"), None);
    }
}
