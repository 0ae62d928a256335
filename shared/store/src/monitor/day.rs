//! Days: which are to be looked at, and what each account did in one.

use super::events::{CONSENT_CHANGES, HEALTH_DATA, OUT_OF_HOURS, REFUSALS, RESOURCES};
use crate::{Store, StoreError};
use jiff::{Timestamp, civil::Date};
use std::sync::LazyLock;
use tokio_postgres::types::Type;

/// When people work, in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfficeHours {
    /// The name of a time zone.
    pub zone: String,
    /// The hour in which offices open.
    pub opens: i32,
    /// The hour at whose beginning they close.
    pub closes: i32,
}

/// A day to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonitorDay {
    /// Its date where the deployment is.
    pub date: Date,
    /// Its beginning.
    pub start: Timestamp,
    /// The beginning of the next.
    pub end: Timestamp,
    /// Whether it is judged, or only learned from.
    pub is_judged: bool,
    /// Whether nothing of it can still be written.
    pub is_over: bool,
}

const KNOWS_ZONE: &str = "SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = $1)";

/// Begins, if that is not done: 1 time zone, 2 how many days to learn from.
const BEGIN: &str = "
WITH today AS (
  SELECT (clock_timestamp() AT TIME ZONE $1)::date AS day
)
INSERT INTO security_monitor (judged_from, next_day)
SELECT day, greatest(day - $2, (SELECT (min(occurred_at) AT TIME ZONE $1)::date FROM audit_event)) FROM today
    ON CONFLICT DO NOTHING";

/// 1 time zone, 2 days at most. A day is over some minutes after its end: no statement that writes events runs as long.
const DAYS: &str = "
SELECT d.day, d.day::timestamp AT TIME ZONE $1 AS starts, (d.day + 1)::timestamp AT TIME ZONE $1 AS ends, d.day >= m.judged_from AS is_judged,
       clock_timestamp() - interval '5 minutes' >= (d.day + 1)::timestamp AT TIME ZONE $1 AS is_over
  FROM security_monitor m
 CROSS JOIN LATERAL (SELECT m.next_day + n AS day
                       FROM generate_series(0, least($2, (clock_timestamp() AT TIME ZONE $1)::date - m.next_day)) AS n) d
 ORDER BY d.day";

/// 1 start, 2 end, 3 time zone, 4 opens, 5 closes. What is counted anew replaces what was counted.
static COUNT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH acted AS MATERIALIZED (
  SELECT e.actor_user_id AS user_id, e.actor_type, e.actor_role, e.occurred_at, e.patient_ids,
         e.detail->'asked' AS asked, {RESOURCES} AS observations,
         {HEALTH_DATA} AS is_read, {REFUSALS} AS is_refusal, {CONSENT_CHANGES} AS is_consent, {OUT_OF_HOURS} AS is_out_of_hours
    FROM audit_event e
   WHERE e.occurred_at >= $1 AND e.occurred_at < $2 AND e.actor_user_id IS NOT NULL
     AND e.actor_type IN ('practitioner', 'super_admin')
), reached AS (
  SELECT a.user_id, count(DISTINCT p.id) AS patients
    FROM acted a CROSS JOIN LATERAL unnest(a.patient_ids) AS p(id)
   WHERE a.is_read AND (a.asked @> to_jsonb(p.id)) IS NOT TRUE
   GROUP BY a.user_id
), hours AS (
  SELECT user_id, date_trunc('hour', occurred_at) AS hour, count(*) AS changes FROM acted WHERE is_consent GROUP BY 1, 2
), bursts AS (
  SELECT user_id, max(changes) AS changes FROM hours GROUP BY user_id
), sums AS (
  SELECT user_id, max(actor_type) AS actor_type, max(actor_role) AS actor_role, count(*) AS events,
         coalesce(sum(observations) FILTER (WHERE is_read), 0) AS observations,
         count(*) FILTER (WHERE is_refusal) AS refusals, count(*) FILTER (WHERE is_out_of_hours) AS out_of_hours
    FROM acted GROUP BY user_id
)
INSERT INTO activity_day (user_id, day, actor_type, actor_role, events, observations, patients, refusals, consent_changes, out_of_hours)
SELECT s.user_id, ($1 AT TIME ZONE $3)::date, s.actor_type, s.actor_role, s.events, s.observations, coalesce(r.patients, 0), s.refusals,
       coalesce(b.changes, 0), s.out_of_hours
  FROM sums s LEFT JOIN reached r USING (user_id) LEFT JOIN bursts b USING (user_id)
    ON CONFLICT (user_id, day) DO UPDATE
   SET (actor_type, actor_role, events, observations, patients, refusals, consent_changes, out_of_hours)
     = (EXCLUDED.actor_type, EXCLUDED.actor_role, EXCLUDED.events, EXCLUDED.observations, EXCLUDED.patients, EXCLUDED.refusals,
        EXCLUDED.consent_changes, EXCLUDED.out_of_hours)"
    )
});

const DONE: &str = "UPDATE security_monitor SET next_day = $1 + 1 WHERE next_day <= $1";

/// Days that are too long ago to say what is usual. The last of each account stays: it says since when the account sleeps.
const FORGET: &str = "
DELETE FROM activity_day a
 WHERE a.day < $1 - 400 AND EXISTS (SELECT FROM activity_day l WHERE l.user_id = a.user_id AND l.day > a.day)";

/// What is in the log and not archived would be lost with the disk. Where nothing is archived, nothing is said.
const ARCHIVE_LAG: &str = "
SELECT greatest(extract(epoch FROM clock_timestamp() - last_archived_time), 0)::bigint
  FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off'";

impl Store {
    /// How many seconds ago the database's log of changes was archived, where it is.
    pub async fn archive_lag(&self) -> Result<Option<i64>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(ARCHIVE_LAG, &[]).await?;
        Ok(client.query_opt(&statement, &[]).await?.map(|row| row.try_get(0)).transpose()?.flatten())
    }

    /// Whether the database knows a time zone by this name.
    pub async fn knows_time_zone(&self, name: &str) -> Result<bool, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(KNOWS_ZONE, &[Type::TEXT]).await?;
        Ok(client.query_one(&statement, &[&name]).await?.try_get(0)?)
    }

    /// Begins to monitor, unless that is done: the `history` days before today are learned from.
    pub async fn begin_monitor(&self, zone: &str, history: i32) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(BEGIN, &[Type::TEXT, Type::INT4]).await?;
        client.execute(&statement, &[&zone, &history]).await?;
        Ok(())
    }

    /// The days that are not done, in order, and no more than this after the first.
    pub async fn monitor_days(&self, zone: &str, most: i32) -> Result<Vec<MonitorDay>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(DAYS, &[Type::TEXT, Type::INT4]).await?;
        let rows = client.query(&statement, &[&zone, &most]).await?;
        rows.iter()
            .map(|row| {
                Ok(MonitorDay {
                    date: row.try_get(0)?,
                    start: row.try_get(1)?,
                    end: row.try_get(2)?,
                    is_judged: row.try_get(3)?,
                    is_over: row.try_get(4)?,
                })
            })
            .collect()
    }

    /// Counts what each account did in a day, so far.
    pub async fn count_day(&self, day: &MonitorDay, office: &OfficeHours) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let types = [Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::TEXT, Type::INT4, Type::INT4];
        let statement = client.prepare_typed_cached(&COUNT, &types).await?;
        client.execute(&statement, &[&day.start, &day.end, &office.zone, &office.opens, &office.closes]).await?;
        Ok(())
    }

    /// Leaves a day behind.
    pub async fn day_is_done(&self, day: Date) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(DONE, &[Type::DATE]).await?;
        client.execute(&statement, &[&day]).await?;
        Ok(())
    }

    /// Forgets days long before this one.
    pub async fn forget_days(&self, before: Date) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(FORGET, &[Type::DATE]).await?;
        client.execute(&statement, &[&before]).await?;
        Ok(())
    }
}
