//! Exports of studies are carried out: the pages of one patient after the other become files, and the position moves on together with
//! them. Called by a schedule every minute. It can be killed anywhere: the next call goes on from the last files that were added. What is over
//! is deleted, with its objects.

use audit::{Action, Context};
use exports::{Files, Gathered, Lines};
use fhir::search::{Everything, is_uuid};
use runtime::{App, Failure, Needs, Occasion, Scheduled};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use store::{EverythingQuery, ExportCursor, ExportJob, Reader, SealedFile, Store};

/// The function.
pub const FUNCTION: Scheduled = Scheduled::new(
    "export-run",
    "exports",
    "carry out the exports of studies that were asked for",
    Needs::Database,
    |app, occasion| Box::pin(handle(app, occasion)),
)
.every(Duration::from_mins(1))
.in_background();

/// After this time a call leaves the rest to the next one. Lambda allows 15 minutes.
const TIME: Duration = Duration::from_mins(10);

/// What was gathered is put into files after this time at the latest.
const PACE: Duration = Duration::from_secs(30);

/// For how long nobody else takes an export after each step.
const LEASE: Duration = Duration::from_mins(3);

/// Rows of a page.
const ROWS: u16 = 1000;

/// After so many rows the log says how far an export is.
const TOLD: u64 = 10_000;

async fn handle(app: &App, occasion: &Occasion) -> Result<Value, Failure> {
    let Some(files) = exports::files(app)? else {
        return Ok(json!({ "outcome": "no place", "setting": exports::PLACE }));
    };
    let store = app.store().await?;
    // First what is there: what is begun after this is of an export that the database has by then.
    let groups = files.0.groups().await.map_err(exports::unavailable)?;
    let tidied = store.tidy_exports(&occasion.audit(Action::Delete, "Group")).await?;
    // What is not named as an export is somebody else's.
    for group in groups.iter().filter(|group| is_uuid(group) && !tidied.there.contains(*group)) {
        files.0.remove(group).await.map_err(exports::unavailable)?;
    }
    let until = Instant::now() + TIME;
    let mended = mend(store, &files, until).await?;
    let (mut done, mut written, mut rows) = (0_u32, 0_u32, 0_u64);
    while Instant::now() < until
        && let Some(job) = store.claim_export(LEASE).await?
    {
        let mut work = Work::new(store, &files, &job);
        let ended = work.carry_out(until).await;
        written = written.saturating_add(work.files_written);
        rows = rows.saturating_add(work.rows_written);
        tracing::info!(
            export = job.id,
            study = job.study,
            rows = work.rows_written,
            done = matches!(ended, Ok(true)),
            "exported"
        );
        match ended {
            Ok(true) => done = done.saturating_add(1),
            Ok(false) => {}
            Err(failure) => {
                store.release_export(&job).await?;
                return Err(failure);
            }
        }
    }
    Ok(json!({
        "outcome": "done", "exports": done, "files": written, "rows_exported": rows, "ended": tidied.ended, "mended": mended
    }))
}

/// Takes what was of somebody who was erased out of the files: how many were written anew. Cut off anywhere, the next call finds what is
/// left to do: the new one is whole or not there, and only then the old one goes.
async fn mend(store: &Store, files: &Files, until: Instant) -> Result<u32, Failure> {
    let mut mended = 0_u32;
    while Instant::now() < until
        && let Some(file) = store.torn_export_file().await?
    {
        let (name, new) = (file.name(), file.new_name());
        if let Some(bytes) = files.0.get(&name).await.map_err(exports::unavailable)? {
            files.0.add(&new, file.mended(&bytes)).await.map_err(exports::unavailable)?;
            files.0.delete(&name).await.map_err(exports::unavailable)?;
        }
        store.export_file_is_mended(&file).await?;
        mended = mended.saturating_add(1);
    }
    Ok(mended)
}

/// An export that this call has taken.
struct Work<'a> {
    store: &'a Store,
    files: &'a Files,
    job: &'a ExportJob,
    gathered: Gathered,
    files_written: u32,
    rows_written: u64,
    /// How many rows there were when the log was told.
    told: u64,
}

impl<'a> Work<'a> {
    fn new(store: &'a Store, files: &'a Files, job: &'a ExportJob) -> Self {
        Self { store, files, job, gathered: Gathered::default(), files_written: 0, rows_written: 0, told: 0 }
    }

    /// Goes on until all is done or the time is up. True: all is done.
    async fn carry_out(&mut self, until: Instant) -> Result<bool, Failure> {
        let context = Context::new(&self.job.request_id, None, Some(&self.job.actor), Action::Read, "Patient");
        let types: Vec<&'static str> =
            Everything::all().filter(|kind| self.job.types.iter().any(|asked| asked == kind)).collect();
        let (mut at, mut kept) = (self.job.at, Instant::now());
        while let Some(patient) = self.store.next_export_patient(self.job, at.patient).await? {
            let after = at.after.filter(|_| patient == at.patient);
            let query = EverythingQuery {
                reader: Reader::Practitioner(self.job.practitioner),
                patient,
                study: Some(self.job.study),
                types: &types,
                since: self.job.since,
                count: ROWS,
                after,
            };
            let mut next = ExportCursor { patient: patient.saturating_add(1), after: None };
            // Who left the study, or was erased, since they were found is passed over.
            if let Ok(page) = self.store.everything(&context, &query).await? {
                if page.next.is_some() {
                    next = ExportCursor { patient, after: page.next };
                }
                let lines = Lines::of(&page, self.job.format != "ndjson")?;
                if !self.gathered.holds(&lines) {
                    if !self.keep(at, false).await? {
                        return Ok(false);
                    }
                    kept = Instant::now();
                }
                self.gathered.add(patient, lines);
            }
            at = next;
            let is_over = Instant::now() >= until;
            if is_over || kept.elapsed() >= PACE {
                if !self.keep(at, false).await? {
                    return Ok(false);
                }
                kept = Instant::now();
            }
            if is_over {
                self.store.release_export(self.job).await?;
                return Ok(false);
            }
        }
        self.keep(at, true).await
    }

    /// Puts what was gathered into files, and moves the export on to here. False: it is no more, or another call has it.
    async fn keep(&mut self, at: ExportCursor, is_done: bool) -> Result<bool, Failure> {
        let gathered = self.gathered.take();
        let rows: usize = gathered.iter().flat_map(|file| &file.parts).map(|part| part.numbers.len()).sum();
        let mut files = self.store.seal_export(gathered).await?;
        let name = |file: &SealedFile| format!("{}/{}", self.job.id, file.object);
        for file in &mut files {
            let bytes = std::mem::take(&mut file.bytes);
            self.files.0.add(&name(file), bytes).await.map_err(exports::unavailable)?;
        }
        let kept = self.store.advance_export(self.job, at, &files, is_done, LEASE).await;
        if let Ok(true) = kept {
            self.files_written = self.files_written.saturating_add(u32::try_from(files.len()).unwrap_or(u32::MAX));
            self.rows_written = self.rows_written.saturating_add(u64::try_from(rows).unwrap_or(u64::MAX));
            if self.rows_written.saturating_sub(self.told) >= TOLD {
                self.told = self.rows_written;
                tracing::info!(export = self.job.id, study = self.job.study, rows = self.rows_written, "exporting");
            }
            return Ok(true);
        }
        // Somebody else has it, or a patient was erased meanwhile. Unless the answer was lost, nothing names these.
        if let Ok(false) = kept {
            for file in &files {
                self.files.0.delete(&name(file)).await.map_err(exports::unavailable)?;
            }
        }
        Ok(kept?)
    }
}
