//! The seals of the audit, and what they are made of.

use crate::{Store, StoreError};
use audit::{Context, leaf::Event, seal::Seal};
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio_postgres::{
    Row,
    types::{Json, Type},
};

/// A seal as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSeal {
    /// Its number.
    pub sequence: i64,
    /// The events are those from this time on.
    pub from: Timestamp,
    /// They are those before this time.
    pub to: Timestamp,
    /// The head and its signature.
    pub seal: Seal,
}

/// An event with what is known of the change that it records.
#[derive(Clone, Debug)]
pub struct SealedEvent {
    /// The event.
    pub event: Event,
    /// The members that changed.
    pub change: Change,
}

/// What was before and is now, which is apart from the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The event has none.
    None,
    /// It is the one whose digest is in the event.
    Kept,
    /// It is not there. Its digest is still in the event.
    Missing,
    /// It is not the one whose digest is in the event.
    Other,
}

/// Where a page of events begins: after the event of this time and number.
pub type After = (Timestamp, i64);

const EVENTS: &str = "
SELECT e.id, e.occurred_at, to_jsonb(e) AS columns,
       CASE WHEN c.event_id IS NULL AND e.detail->>'digest' IS NULL THEN 'none'
            -- Names of who was erased: the digest stays.
            WHEN c.event_id IS NULL AND EXISTS (SELECT FROM erasure r WHERE r.erased_at IS NOT NULL AND r.patient_id = ANY (e.patient_ids)) THEN 'none'
            WHEN c.event_id IS NULL THEN 'missing'
            -- As `change_digest`, which not every login that reads this may call.
            WHEN e.detail->>'digest' = encode(sha256(convert_to((jsonb_build_array(c.before, c.after)
                   || CASE WHEN c.reason IS NULL THEN '[]' ELSE jsonb_build_array(c.reason) END)::text, 'UTF8') || coalesce(c.salt, '')), 'hex') THEN 'kept'
            ELSE 'other' END AS change
  FROM audit_event e
  LEFT JOIN audit_change c ON (c.occurred_at, c.event_id) = (e.occurred_at, e.id) AND c.occurred_at >= $1 AND c.occurred_at < $3
 WHERE (e.occurred_at, e.id) > ($1, $2) AND e.occurred_at < $3
 ORDER BY e.occurred_at, e.id
 LIMIT $4";

const EVENT: &str = "SELECT e.id, e.occurred_at, to_jsonb(e) AS columns FROM audit_event e WHERE e.id = $1 LIMIT 1";

/// Marked by another server before the data came here, a horizon has a number that no transaction here has reached; whatever ran
/// there has ended.
const HORIZON: &str = "
SELECT max(at) FROM audit_horizon
 WHERE xid < pg_snapshot_xmin(pg_current_snapshot()) OR xid >= pg_snapshot_xmax(pg_current_snapshot())";

const SEAL: &str = "SELECT sequence, window_start, window_end, head, signature FROM audit_seal";

fn stored(row: &Row) -> Result<StoredSeal, StoreError> {
    Ok(StoredSeal {
        sequence: row.try_get("sequence")?,
        from: row.try_get("window_start")?,
        to: row.try_get("window_end")?,
        seal: Seal { head: row.try_get("head")?, signature: row.try_get("signature")? },
    })
}

fn event(row: &Row) -> Result<Event, StoreError> {
    Ok(Event {
        id: row.try_get("id")?,
        occurred_at: row.try_get("occurred_at")?,
        columns: row.try_get::<_, Json<Map<String, Value>>>("columns")?.0,
    })
}

impl Change {
    fn named(name: &str) -> Result<Self, StoreError> {
        match name {
            "none" => Ok(Self::None),
            "kept" => Ok(Self::Kept),
            "missing" => Ok(Self::Missing),
            "other" => Ok(Self::Other),
            _ => Err(StoreError::Corrupt("change")),
        }
    }
}

impl Store {
    /// Marks the present: when all that runs now has ended, nothing of before can be recorded any more.
    pub async fn mark_audit_horizon(&self) -> Result<(), StoreError> {
        self.connection().await?.query("SELECT audit_mark_horizon()", &[]).await?;
        Ok(())
    }

    /// The latest time before which nothing can be recorded any more, if one was marked.
    pub async fn audit_horizon(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.connection().await?.query_one(HORIZON, &[]).await?.try_get(0)?)
    }

    /// The last seal.
    pub async fn last_audit_seal(&self) -> Result<Option<StoredSeal>, StoreError> {
        let statement = format!("{SEAL} ORDER BY sequence DESC LIMIT 1");
        let row = self.connection().await?.query_opt(&statement, &[]).await?;
        row.as_ref().map(stored).transpose()
    }

    /// The seals after this number, in order.
    pub async fn audit_seals(&self, after: i64, count: i64) -> Result<Vec<StoredSeal>, StoreError> {
        let statement = format!("{SEAL} WHERE sequence > $1 ORDER BY sequence LIMIT $2");
        let rows = self.connection().await?.query(&statement, &[&after, &count]).await?;
        rows.iter().map(stored).collect()
    }

    /// The seal over the events of this time.
    pub async fn audit_seal_at(&self, time: Timestamp) -> Result<Option<StoredSeal>, StoreError> {
        let statement = format!("{SEAL} WHERE window_start <= $1 AND window_end > $1");
        let row = self.connection().await?.query_opt(&statement, &[&time]).await?;
        row.as_ref().map(stored).transpose()
    }

    /// Adds a seal. False when there is one of this number, or over the same time.
    pub async fn add_audit_seal(&self, seal: &StoredSeal) -> Result<bool, StoreError> {
        const ADD: &str = "INSERT INTO audit_seal (sequence, window_start, window_end, head, signature)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let Seal { head, signature } = &seal.seal;
        let client = self.connection().await?;
        let added = client.execute(ADD, &[&seal.sequence, &seal.from, &seal.to, head, signature]).await?;
        Ok(added == 1)
    }

    /// Events before a time, after another event, in the order of time and number.
    pub async fn events_to_seal(
        &self,
        after: After,
        before: Timestamp,
        count: i64,
    ) -> Result<Vec<SealedEvent>, StoreError> {
        let client = self.connection().await?;
        let types = [Type::TIMESTAMPTZ, Type::INT8, Type::TIMESTAMPTZ, Type::INT8];
        let statement = client.prepare_typed_cached(EVENTS, &types).await?;
        let rows = client.query(&statement, &[&after.0, &after.1, &before, &count]).await?;
        let sealed = |row| {
            let change = Change::named(Row::try_get(row, "change")?)?;
            Ok(SealedEvent { event: event(row)?, change })
        };
        rows.iter().map(sealed).collect()
    }

    /// The events that changes name which are not of them, at most so many: there is no such event of the change's time, or the change
    /// is one of several.
    pub async fn changes_astray(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        count: i64,
    ) -> Result<Vec<i64>, StoreError> {
        const ASTRAY: &str = "
SELECT c.event_id FROM audit_change c
 WHERE c.occurred_at >= coalesce($1::timestamptz, '-infinity') AND (c.occurred_at < $2::timestamptz OR $2 IS NULL)
   AND NOT EXISTS (SELECT FROM audit_event e WHERE e.occurred_at = c.occurred_at AND e.id = c.event_id)
 ORDER BY c.occurred_at, c.event_id LIMIT $3";
        let rows = self.connection().await?.query(ASTRAY, &[&from, &to, &count]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// The numbers of events before a time, at most so many. Their own times may be any that PostgreSQL has.
    pub async fn events_before(&self, time: Timestamp, count: i64) -> Result<Vec<i64>, StoreError> {
        const IDS: &str = "SELECT id FROM audit_event WHERE occurred_at < $1 ORDER BY occurred_at, id LIMIT $2";
        let rows = self.connection().await?.query(IDS, &[&time, &count]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// The numbers of events of a time to come, by the database's clock and more than an hour, at most so many. Also of those of no time.
    pub async fn events_to_come(&self, count: i64) -> Result<Vec<i64>, StoreError> {
        const IDS: &str = "
SELECT id FROM audit_event WHERE occurred_at > statement_timestamp() + interval '1 hour' ORDER BY occurred_at, id LIMIT $1";
        let rows = self.connection().await?.query(IDS, &[&count]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// When the first event from a time on was, if there is one.
    pub async fn first_event_from(&self, time: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        const FIRST: &str =
            "SELECT min(occurred_at) FROM audit_event WHERE occurred_at >= $1 AND occurred_at < 'infinity'";
        Ok(self.connection().await?.query_one(FIRST, &[&time]).await?.try_get(0)?)
    }

    /// Records that somebody asks for the proof of the event with this number, if there is one: it shows of which patients it is.
    pub async fn record_proving(&self, context: &Context, id: i64) -> Result<(), StoreError> {
        const RECORD: &str = "
SELECT audit_record($1 || jsonb_build_object('detail', jsonb_build_object('event', $2)), 'allowed', NULL, '{}', '{}',
                    ARRAY(SELECT DISTINCT unnest(e.patient_ids) FROM audit_event e WHERE e.id = $2 ORDER BY 1), '{}')";
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(RECORD, &[Type::JSONB, Type::INT8]).await?;
        client.query_one(&statement, &[&Json(context), &id]).await?;
        Ok(())
    }

    /// An event by its number, whole, for its proof.
    pub async fn sealable_event(&self, id: i64) -> Result<Option<Event>, StoreError> {
        let row = self.connection().await?.query_opt(EVENT, &[&id]).await?;
        row.as_ref().map(event).transpose()
    }
}
