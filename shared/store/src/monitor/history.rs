//! What is usual: an account's own days before, those of its peers, and the sign-ins of a day.

use super::{
    day::MonitorDay,
    events::{FAILED_SIGN_INS, SIGN_INS, SUBJECT},
};
use crate::{Store, StoreError};
use jiff::civil::Date;
use std::sync::LazyLock;
use tokio_postgres::{Row, types::Type};

/// How many days before a day say what is usual.
const HISTORY: i32 = 28;

/// An account's day, and its days before. The lists are as long as each other: one number for each day on which it did
/// anything.
#[derive(Clone, Debug)]
pub struct ActorDay {
    /// The account.
    pub user: i32,
    /// `practitioner` or `super_admin`, and the highest role that was used.
    pub group: (String, Option<String>),
    /// What it did: as in [`ActorDay::MEASURES`].
    pub today: [i64; 5],
    /// The same of each day before.
    pub before: [Vec<i64>; 5],
    /// How many days ago it did anything; none when that is not known.
    pub idle_days: Option<i32>,
}

/// What is usual among those with the same role: the median and the quantiles 0.75 and 0.9 of each measure, as logarithms of
/// five more.
#[derive(Clone, Debug)]
pub struct PeerGroup {
    /// As in [`ActorDay`].
    pub group: (String, Option<String>),
    /// How many days of people these are.
    pub days: i64,
    /// For each measure of [`ActorDay::MEASURES`].
    pub quantiles: [Vec<f64>; 5],
}

/// The wrong attempts to sign in of a day, on an account or from an address.
#[derive(Clone, Debug)]
pub struct FailedSignIns {
    /// The account.
    pub user: Option<i32>,
    /// The address.
    pub address: Option<String>,
    /// How many were wrong.
    pub failed: i64,
    /// How many were right.
    pub succeeded: i64,
}

impl ActorDay {
    /// The columns of a day that are measured, in order.
    pub const MEASURES: [&'static str; 5] = ["observations", "patients", "refusals", "consent_changes", "out_of_hours"];
}

/// 1 day, 2 the least of each measure that is looked at, 3 days of history, 4 days after which an account sleeps. The rest of
/// the accounts is not read.
static ACTORS: LazyLock<String> = LazyLock::new(|| {
    let columns = |form: fn(&str) -> String| ActorDay::MEASURES.map(form).join(", ");
    let [own, before] =
        [columns(|name| format!("a.{name}")), columns(|name| format!("coalesce(h.{name}, '{{}}') AS {name}_before"))];
    let lists = columns(|name| format!("array_agg(b.{name}) AS {name}"));
    let is_much: Vec<String> =
        ActorDay::MEASURES.iter().zip(1..).map(|(name, n)| format!("a.{name} >= ($2::bigint[])[{n}]")).collect();
    format!(
        "
SELECT a.user_id, a.actor_type, a.actor_role::text AS role, {own}, {before}, a.day - l.day AS idle_days
  FROM activity_day a
  LEFT JOIN LATERAL (SELECT b.day FROM activity_day b WHERE b.user_id = a.user_id AND b.day < a.day ORDER BY b.day DESC LIMIT 1) l ON true
  LEFT JOIN LATERAL (SELECT {lists} FROM activity_day b WHERE b.user_id = a.user_id AND b.day < a.day AND b.day >= a.day - $3) h ON true
 WHERE a.day = $1 AND ({much} OR a.day - l.day >= $4)
 ORDER BY a.user_id",
        much = is_much.join(" OR ")
    )
});

/// 1 day, 2 days of history.
static PEERS: LazyLock<String> = LazyLock::new(|| {
    let quantiles = ActorDay::MEASURES
        .map(|name| format!("percentile_cont(ARRAY[0.5, 0.75, 0.9]) WITHIN GROUP (ORDER BY ln((5 + {name})::float8))"))
        .join(", ");
    format!(
        "
SELECT actor_type, actor_role::text, count(*), {quantiles}
  FROM activity_day WHERE day < $1 AND day >= $1 - $2
 GROUP BY actor_type, actor_role"
    )
});

/// 1 start, 2 end, 3 the least of an account, 4 the least of an address.
static SIGN_INS_OF_DAY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH tried AS MATERIALIZED (
  SELECT {SUBJECT} AS user_id, e.source_address, {FAILED_SIGN_INS} AS is_failed
    FROM audit_event e
   WHERE e.occurred_at >= $1 AND e.occurred_at < $2 AND ({FAILED_SIGN_INS} OR {SIGN_INS})
)
SELECT user_id, NULL::text AS source_address, count(*) FILTER (WHERE is_failed) AS failed, count(*) FILTER (WHERE NOT is_failed) AS succeeded
  FROM tried WHERE user_id IS NOT NULL GROUP BY user_id HAVING count(*) FILTER (WHERE is_failed) >= $3
UNION ALL
SELECT NULL, source_address, count(*) FILTER (WHERE is_failed), count(*) FILTER (WHERE NOT is_failed)
  FROM tried WHERE source_address IS NOT NULL GROUP BY source_address HAVING count(*) FILTER (WHERE is_failed) >= $4"
    )
});

impl Store {
    /// The accounts that did at least so much of anything on a day, or that slept so long before.
    pub async fn actors_of_day(
        &self,
        day: Date,
        least: &[i64; 5],
        asleep_days: i32,
    ) -> Result<Vec<ActorDay>, StoreError> {
        let client = self.connection().await?;
        let types = [Type::DATE, Type::INT8_ARRAY, Type::INT4, Type::INT4];
        let statement = client.prepare_typed_cached(&ACTORS, &types).await?;
        let rows = client.query(&statement, &[&day, &least.as_slice(), &HISTORY, &asleep_days]).await?;
        rows.iter()
            .map(|row| {
                Ok(ActorDay {
                    user: row.try_get(0)?,
                    group: (row.try_get(1)?, row.try_get(2)?),
                    today: each_measure(row, str::to_owned)?,
                    before: each_measure(row, |name| format!("{name}_before"))?,
                    idle_days: row.try_get("idle_days")?,
                })
            })
            .collect()
    }

    /// What was usual before a day, for each role.
    pub async fn peers_before(&self, day: Date) -> Result<Vec<PeerGroup>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(&PEERS, &[Type::DATE, Type::INT4]).await?;
        let rows = client.query(&statement, &[&day, &HISTORY]).await?;
        rows.iter()
            .map(|row| {
                let quantiles = [row.try_get(3)?, row.try_get(4)?, row.try_get(5)?, row.try_get(6)?, row.try_get(7)?];
                Ok(PeerGroup { group: (row.try_get(0)?, row.try_get(1)?), days: row.try_get(2)?, quantiles })
            })
            .collect()
    }

    /// The accounts and addresses with at least so many wrong attempts to sign in on a day.
    pub async fn failed_sign_ins(
        &self,
        day: &MonitorDay,
        of_account: i64,
        from_address: i64,
    ) -> Result<Vec<FailedSignIns>, StoreError> {
        let client = self.connection().await?;
        let types = [Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::INT8, Type::INT8];
        let statement = client.prepare_typed_cached(&SIGN_INS_OF_DAY, &types).await?;
        let rows = client.query(&statement, &[&day.start, &day.end, &of_account, &from_address]).await?;
        rows.iter()
            .map(|row| {
                Ok(FailedSignIns {
                    user: row.try_get(0)?,
                    address: row.try_get(1)?,
                    failed: row.try_get(2)?,
                    succeeded: row.try_get(3)?,
                })
            })
            .collect()
    }
}

/// The value of each measure, in the column with the name that `named` gives it.
fn each_measure<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    named: impl Fn(&str) -> String,
) -> Result<[T; 5], tokio_postgres::Error> {
    let value = |index: usize| row.try_get(named(ActorDay::MEASURES.get(index).copied().unwrap_or_default()).as_str());
    Ok([value(0)?, value(1)?, value(2)?, value(3)?, value(4)?])
}
