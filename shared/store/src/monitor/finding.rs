//! Findings: what was unusual, who was told, and what became of it.

use super::{
    day::{MonitorDay, OfficeHours},
    events::{CONSENT_CHANGES, FAILED_SIGN_INS, HEALTH_DATA, OUT_OF_HOURS, REFUSALS, SUBJECT},
};
use crate::{
    Changed, Expected, Page, Slice, Store, StoreError,
    page::{self, Order},
};
use audit::Context;
use authz::UserId;
use jiff::{Timestamp, civil::Date};
use std::sync::LazyLock;
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// Something unusual.
#[derive(Clone, Debug)]
pub struct NewFinding<'a> {
    /// Of which kind.
    pub kind: &'static str,
    /// Whose account.
    pub user: Option<i32>,
    /// Or which address.
    pub address: Option<&'a str>,
    /// How much there was.
    pub measured: i64,
    /// The most that would have been usual.
    pub expected: f64,
    /// How far beyond it is.
    pub score: f64,
}

/// A finding as it is kept.
#[derive(Clone, Debug)]
pub struct SecurityFinding {
    /// From 1.
    pub id: i32,
    /// Of which kind.
    pub kind: String,
    /// Whose account.
    pub user: Option<i32>,
    /// Or which address.
    pub address: Option<String>,
    /// The day where the deployment is.
    pub day: Date,
    /// When the events were.
    pub window: (Timestamp, Timestamp),
    /// How much there was.
    pub measured: i64,
    /// The most that would have been usual.
    pub expected: i64,
    /// How far beyond it is.
    pub score: i64,
    /// The events of the audit that it was found by, the newest thousand.
    pub events: Vec<i64>,
    /// When it was found.
    pub found_at: Timestamp,
    /// When somebody was told.
    pub notified_at: Option<Timestamp>,
    /// `open`, `acknowledged` or `closed`.
    pub status: String,
    /// What whoever looked into it says.
    pub note: Option<String>,
    /// Who that was.
    pub changed_by: Option<i32>,
    /// When it last changed.
    pub last_updated: Timestamp,
}

/// A finding of which nobody was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    /// Its id.
    pub id: i32,
    /// Of which kind.
    pub kind: String,
}

/// Which findings are listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct FindingFilter<'a> {
    /// With this status.
    pub status: Option<&'a str>,
    /// Of this kind.
    pub kind: Option<&'a str>,
    /// Of this account.
    pub user: Option<i32>,
}

/// What is to change of a finding.
#[derive(Clone, Copy, Debug)]
pub struct FindingChange<'a> {
    /// What became of it.
    pub status: Option<&'a str>,
    /// What whoever looked into it says.
    pub note: Option<&'a str>,
}

/// 1 audit context, 2 kind, 3 time zone, 4 opens, 5 closes, 6 account, 7 address, 8 day, 9 start, 10 end, 11 measured, 12 expected,
/// 13 score. One that is known grows with its day; only a new one is recorded.
static KEEP: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH kept AS (
  INSERT INTO security_finding (kind, user_id, source_address, day, window_start, window_end, measured, expected, score, event_ids)
  SELECT $2, $6, $7, $8, $9, $10, $11, round(least($12, 1e15))::bigint, round(least($13, 1e15))::bigint,
         ARRAY(SELECT e.id FROM audit_event e
                WHERE e.occurred_at >= $9 AND e.occurred_at < $10
                  AND CASE WHEN $7::text IS NOT NULL THEN e.source_address = $7 AND {FAILED_SIGN_INS}
                           WHEN $2 = 'failed_sign_ins_of_account' THEN {SUBJECT} = $6 AND {FAILED_SIGN_INS}
                           ELSE e.actor_user_id = $6
                            AND CASE WHEN $2 IN ('volume', 'breadth') THEN {HEALTH_DATA}
                                     WHEN $2 = 'refusals' THEN {REFUSALS}
                                     WHEN $2 = 'consent_changes' THEN {CONSENT_CHANGES}
                                     WHEN $2 = 'privileged_out_of_hours' THEN {OUT_OF_HOURS}
                                     ELSE true END END
                ORDER BY e.occurred_at DESC, e.id DESC LIMIT 1000)
      ON CONFLICT (kind, user_id, source_address, day) DO UPDATE
     SET measured = EXCLUDED.measured, expected = EXCLUDED.expected, score = EXCLUDED.score, event_ids = EXCLUDED.event_ids
   WHERE security_finding.measured < EXCLUDED.measured
  RETURNING *, xmax = 0 AS is_new
)
SELECT audit_record($1 || jsonb_build_object('detail', jsonb_build_object('finding', id)), 'allowed', NULL, '{{}}', '{{}}', '{{}}', '{{}}',
                    NULL, NULL, jsonb_build_object('id', id, 'kind', kind, 'day', day))
  FROM kept WHERE is_new"
    )
});

const UNTOLD: &str = "SELECT id, kind FROM security_finding WHERE notified_at IS NULL ORDER BY id LIMIT 100";

const TOLD: &str = "UPDATE security_finding SET notified_at = clock_timestamp() WHERE id = ANY ($1)";

const FINDINGS: &str = "
  SELECT * FROM security_finding
   WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR kind = $2) AND ($3::int IS NULL OR user_id = $3)";

static PAGE: LazyLock<String> = LazyLock::new(|| page::statement(FINDINGS, Order::Newest, 4));

const ONE: &str = "SELECT * FROM security_finding WHERE id = $1";

/// 1 audit context, 2 finding, 3 versions, 4 status, 5 note, 6 who.
const CHANGE: &str = "
WITH was AS MATERIALIZED (
  SELECT * FROM security_finding WHERE id = $2 FOR NO KEY UPDATE
), changed AS (
  UPDATE security_finding f
     SET status = coalesce($4, f.status), note = coalesce($5, f.note), changed_by = $6, last_updated = clock_timestamp()
    FROM was w WHERE f.id = w.id AND ($3::timestamptz[] IS NULL OR w.last_updated = ANY ($3))
  RETURNING f.*
)
SELECT c.id IS NOT NULL AS done,
       CASE WHEN c.id IS NOT NULL THEN
         audit_record($1 || jsonb_build_object('detail', jsonb_build_object('finding', c.id)), 'allowed', NULL, '{}', '{}', '{}', '{}',
                      NULL, to_jsonb(w), to_jsonb(c)) END
  FROM was w LEFT JOIN changed c ON true";

impl Store {
    /// Keeps a finding of a day. Whether it is new: it is recorded then.
    pub async fn keep_finding(
        &self,
        context: &Context,
        day: &MonitorDay,
        office: &OfficeHours,
        finding: &NewFinding<'_>,
    ) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let types = [
            Type::JSONB,
            Type::TEXT,
            Type::TEXT,
            Type::INT4,
            Type::INT4,
            Type::INT4,
            Type::TEXT,
            Type::DATE,
            Type::TIMESTAMPTZ,
            Type::TIMESTAMPTZ,
            Type::INT8,
            Type::FLOAT8,
            Type::FLOAT8,
        ];
        let statement = client.prepare_typed_cached(&KEEP, &types).await?;
        let NewFinding { kind, user, address, measured, expected, score } = finding;
        let OfficeHours { zone, opens, closes } = office;
        let MonitorDay { date, start, end, .. } = day;
        let kept = client
            .query(
                &statement,
                &[
                    &Json(context),
                    kind,
                    zone,
                    opens,
                    closes,
                    user,
                    address,
                    date,
                    start,
                    end,
                    measured,
                    expected,
                    score,
                ],
            )
            .await?;
        Ok(!kept.is_empty())
    }

    /// The findings of which nobody was told, a hundred at most.
    pub async fn untold_findings(&self) -> Result<Vec<Untold>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(UNTOLD, &[]).await?;
        let rows = client.query(&statement, &[]).await?;
        rows.iter().map(|row| Ok(Untold { id: row.try_get(0)?, kind: row.try_get(1)? })).collect()
    }

    /// Notes that somebody was told of findings.
    pub async fn findings_are_told(&self, ids: &[i32]) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(TOLD, &[Type::INT4_ARRAY]).await?;
        client.execute(&statement, &[&ids]).await?;
        Ok(())
    }

    /// A page of the findings, the newest first.
    pub async fn findings(&self, filter: FindingFilter<'_>, slice: Slice) -> Result<Page<SecurityFinding>, StoreError> {
        let client = self.connection().await?;
        let types = [&[Type::TEXT, Type::TEXT, Type::INT4], page::TYPES.as_slice()].concat();
        let statement = client.prepare_typed_cached(&PAGE, &types).await?;
        let values = page::Values::from(slice);
        let FindingFilter { status, kind, user } = filter;
        let rows = client
            .query(&statement, &[&status, &kind, &user, &values.after, &values.count, &values.skip, &values.far])
            .await?;
        page::read(&rows, finding)
    }

    /// A finding.
    pub async fn finding(&self, id: i32) -> Result<Option<SecurityFinding>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(ONE, &[Type::INT4]).await?;
        client.query_opt(&statement, &[&id]).await?.as_ref().map(finding).transpose()
    }

    /// Says what became of a finding, with its audit record, in one statement.
    pub async fn change_finding(
        &self,
        context: &Context,
        id: i32,
        expected: &Expected,
        who: UserId,
        change: FindingChange<'_>,
    ) -> Result<Changed, StoreError> {
        let client = self.connection().await?;
        let types = [Type::JSONB, Type::INT4, Type::TIMESTAMPTZ_ARRAY, Type::TEXT, Type::TEXT, Type::INT4];
        let statement = client.prepare_typed_cached(CHANGE, &types).await?;
        let FindingChange { status, note } = change;
        let changed =
            client.query_opt(&statement, &[&Json(context), &id, &expected.times(), &status, &note, &who.0]).await?;
        Ok(match changed {
            None => Changed::Missing,
            Some(row) if row.try_get("done")? => Changed::Done(()),
            Some(_) => Changed::Stale,
        })
    }
}

fn finding(row: &Row) -> Result<SecurityFinding, StoreError> {
    Ok(SecurityFinding {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        user: row.try_get("user_id")?,
        address: row.try_get("source_address")?,
        day: row.try_get("day")?,
        window: (row.try_get("window_start")?, row.try_get("window_end")?),
        measured: row.try_get("measured")?,
        expected: row.try_get("expected")?,
        score: row.try_get("score")?,
        events: row.try_get("event_ids")?,
        found_at: row.try_get("found_at")?,
        notified_at: row.try_get("notified_at")?,
        status: row.try_get("status")?,
        note: row.try_get("note")?,
        changed_by: row.try_get("changed_by")?,
        last_updated: row.try_get("last_updated")?,
    })
}
