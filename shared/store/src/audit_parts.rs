//! The parts of the audit, one for each month.

use crate::{Store, StoreError};
use audit::Context;
use jiff::Timestamp;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// Of the months to come, how many have their part ahead of time: so many daily calls may fail.
const AHEAD: i32 = 3;

/// What there is of parts.
#[derive(Clone, Copy, Debug)]
pub struct AuditParts {
    /// How many were made.
    pub made: i32,
    /// From when on there is none by months.
    pub until: Timestamp,
}

/// A time of which the audit has no part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditGap {
    /// Whose parts: `audit_event` or `audit_change`.
    pub table: String,
    /// From when, in words.
    pub from: String,
    /// Until when.
    pub to: String,
}

/// The parts have to be one after another, from the beginning to the end of time.
const GAPS: &str = r"
WITH part AS (
  SELECT t.name, c.oid IS NOT NULL AS is_there,
         coalesce(substring(b.bound FROM 'FROM \(''([^'']+)''\)')::timestamptz, '-infinity') AS starts,
         coalesce(substring(b.bound FROM 'TO \(''([^'']+)''\)')::timestamptz, 'infinity') AS ends
    FROM (VALUES ('audit_event'), ('audit_change')) t (name)
    LEFT JOIN pg_inherits i ON i.inhparent = to_regclass('public.' || t.name) AND NOT i.inhdetachpending
    LEFT JOIN pg_class c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) AS bound) b
), gap AS (
  SELECT name, '-infinity'::timestamptz AS starts, 'infinity'::timestamptz AS ends FROM part WHERE NOT is_there
  UNION ALL
  SELECT name, coalesce(lag(ends) OVER parts, '-infinity'), starts FROM part WHERE is_there WINDOW parts AS (PARTITION BY name ORDER BY starts)
  UNION ALL
  SELECT name, max(ends), 'infinity' FROM part WHERE is_there GROUP BY name
)
SELECT name, CASE WHEN isfinite(starts) THEN to_char(starts AT TIME ZONE 'UTC', 'YYYY-MM-DD') ELSE 'the beginning' END AS starts,
       CASE WHEN isfinite(ends) THEN to_char(ends AT TIME ZONE 'UTC', 'YYYY-MM-DD') ELSE 'the end' END AS ends
  FROM gap WHERE gap.starts < gap.ends ORDER BY name, gap.starts";

impl Store {
    /// The times of which the audit has no part, since one was detached or dropped.
    pub async fn audit_gaps(&self) -> Result<Vec<AuditGap>, StoreError> {
        let rows = self.connection().await?.query(GAPS, &[]).await?;
        let gap = |row: &Row| {
            Ok(AuditGap { table: row.try_get("name")?, from: row.try_get("starts")?, to: row.try_get("ends")? })
        };
        rows.iter().map(gap).collect()
    }

    /// Makes the parts of this month and of the next ones that are not there. If there were such, that is recorded.
    pub async fn make_audit_parts(&self, context: &Context) -> Result<AuditParts, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                "WITH made AS MATERIALIZED (SELECT audit_make_parts($2) AS parts)
                 SELECT parts, CASE WHEN parts > 0
                                    THEN audit_record($1 || jsonb_build_object('detail', jsonb_build_object('parts', parts)),
                                                      'allowed', NULL, '{}', '{}', '{}', '{}') END
                   FROM made",
                &[Type::JSONB, Type::INT4],
            )
            .await?;
        let made = client.query_one(&statement, &[&Json(context), &AHEAD]).await?.try_get("parts")?;
        let end = client.prepare_typed_cached("SELECT audit_parts_end()", &[]).await?;
        Ok(AuditParts { made, until: client.query_one(&end, &[]).await?.try_get(0)? })
    }
}
