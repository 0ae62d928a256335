//! What lapses and is deleted, and what came of it.

use crate::{Store, StoreError};
use audit::Context;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio_postgres::types::{Json, Type};

/// A run that ended.
#[derive(Clone, Debug)]
pub struct RetentionRun {
    /// When.
    pub ended_at: Timestamp,
    /// Whether all was well.
    pub succeeded: bool,
    /// How many rows of each kind it deleted.
    pub forgotten: Value,
}

impl Store {
    /// Begins a run, and gives its number. One that was interrupted is closed, with an audit record of what it did.
    pub async fn begin_retention(&self, context: &Context) -> Result<i64, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached("SELECT retention_begin($1)", &[Type::JSONB]).await?;
        Ok(client.query_one(&statement, &[&Json(context)]).await?.try_get(0)?)
    }

    /// Deletes rows of a kind whose end is longer ago than they are kept, and counts them in the run, in one transaction. There
    /// are more when it is as many as asked for.
    pub async fn forget_lapsed(
        &self,
        run: i64,
        kind: &str,
        kept: SignedDuration,
        most: u32,
    ) -> Result<u32, StoreError> {
        let client = self.connection().await?;
        let types = [Type::INT8, Type::TEXT, Type::INT8, Type::INT4];
        let statement = client.prepare_typed_cached("SELECT retention_forget($1, $2, $3, $4)", &types).await?;
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let row = client.query_one(&statement, &[&run, &kind, &kept.as_secs(), &most]).await?;
        Ok(row.try_get::<_, i32>(0)?.unsigned_abs())
    }

    /// How many rows of a kind have their end longer ago than they are kept.
    pub async fn count_lapsed(&self, kind: &str, kept: SignedDuration) -> Result<i64, StoreError> {
        let client = self.connection().await?;
        let types = [Type::TEXT, Type::INT8];
        let statement = client.prepare_typed_cached("SELECT retention_due($1, $2)", &types).await?;
        Ok(client.query_one(&statement, &[&kind, &kept.as_secs()]).await?.try_get(0)?)
    }

    /// Ends a run, with an audit record of what it did.
    pub async fn end_retention(&self, context: &Context, run: i64, succeeded: bool) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT8, Type::BOOL];
        let statement = client.prepare_typed_cached("SELECT retention_end($1, $2, $3)", &types).await?;
        client.execute(&statement, &[&Json(context), &run, &succeeded]).await?;
        Ok(())
    }

    /// The run that ended last.
    pub async fn last_retention_run(&self) -> Result<Option<RetentionRun>, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_cached(
                "SELECT ended_at, succeeded, forgotten FROM retention_run WHERE ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT 1",
            )
            .await?;
        let Some(row) = client.query_opt(&statement, &[]).await? else { return Ok(None) };
        let Json(forgotten) = row.try_get(2)?;
        Ok(Some(RetentionRun { ended_at: row.try_get(0)?, succeeded: row.try_get(1)?, forgotten }))
    }
}
