//! What was done with backups, and what came of it.

use crate::{Store, StoreError};
use audit::Context;
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::types::{Json, Type};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// A backup was made.
    Backup,
    /// One was restored into an empty database and looked at.
    Drill,
}

impl RunKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Drill => "drill",
        }
    }
}

/// What is to be remembered of a run.
#[derive(Clone, Debug)]
pub struct NewBackupRun<'a> {
    /// What was done.
    pub kind: RunKind,
    /// With which backup.
    pub backup: &'a str,
    /// The time of the backup's snapshot.
    pub taken_at: Timestamp,
    /// When the run began.
    pub began_at: Timestamp,
    /// Whether all was well.
    pub succeeded: bool,
    /// What was seen.
    pub report: &'a Value,
}

/// A run.
#[derive(Clone, Debug)]
pub struct BackupRun {
    /// With which backup.
    pub backup: String,
    /// The time of the backup's snapshot.
    pub taken_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Whether all was well.
    pub succeeded: bool,
    /// What was seen.
    pub report: Value,
}

impl Store {
    /// Remembers a run, and records it in the audit.
    pub async fn record_backup_run(&self, context: &Context, run: &NewBackupRun<'_>) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                "WITH run AS (
                   INSERT INTO backup_run (kind, backup, taken_at, began_at, succeeded, report) VALUES ($2, $3, $4, $5, $6, $7)
                 )
                 SELECT audit_record($1 || jsonb_build_object('detail', jsonb_build_object('backup', $3)),
                                     CASE WHEN $6 THEN 'allowed' ELSE 'failed' END, CASE WHEN $6 THEN NULL ELSE 'invalid' END,
                                     '{}', '{}', '{}', '{}')",
                &[Type::JSONB, Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::BOOL, Type::JSONB],
            )
            .await?;
        let NewBackupRun { kind, backup, taken_at, began_at, succeeded, report } = run;
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
            [&Json(context), &kind.name(), backup, taken_at, began_at, succeeded, &Json(report)];
        client.query_one(&statement, &values).await?;
        Ok(())
    }

    /// The last run of a kind, with backups of this place: what is done with a copy elsewhere says nothing of those. None, or no
    /// name: of any place. A run of a version that did not note the place counts for each.
    pub async fn last_backup_run(&self, kind: RunKind, place: Option<&str>) -> Result<Option<BackupRun>, StoreError> {
        self.last_run(kind, place, false).await
    }

    /// The same, of those that succeeded.
    pub async fn last_good_backup_run(
        &self,
        kind: RunKind,
        place: Option<&str>,
    ) -> Result<Option<BackupRun>, StoreError> {
        self.last_run(kind, place, true).await
    }

    async fn last_run(
        &self,
        kind: RunKind,
        place: Option<&str>,
        must_be_good: bool,
    ) -> Result<Option<BackupRun>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                "SELECT backup, taken_at, ended_at, succeeded, report FROM backup_run
                  WHERE kind = $1 AND (succeeded OR NOT $3) AND ($2 IS NULL OR rtrim(COALESCE(report->>'place', $2), '/') = rtrim($2, '/'))
                  ORDER BY id DESC LIMIT 1",
                &[Type::TEXT, Type::TEXT, Type::BOOL],
            )
            .await?;
        let place = place.filter(|place| !place.is_empty());
        let Some(row) = client.query_opt(&statement, &[&kind.name(), &place, &must_be_good]).await? else {
            return Ok(None);
        };
        let Json(report) = row.try_get(4)?;
        Ok(Some(BackupRun {
            backup: row.try_get(0)?,
            taken_at: row.try_get(1)?,
            ended_at: row.try_get(2)?,
            succeeded: row.try_get(3)?,
            report,
        }))
    }
}
