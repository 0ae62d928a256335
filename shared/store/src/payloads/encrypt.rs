//! What was stored in the clear, encrypted in batches by the owner. It can be stopped at any point and goes on from there.

use super::{HAS_PAYLOADS, PayloadKeys, not_in_vault, sealed};
use crate::{DatabaseConfig, LoginError, StoreError, migrate::connect_owner};
use payload::{Held, KeyId, Place};
use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};
use tokio_postgres::{Client, Row, Transaction};

/// A table with payloads: how it is walked, and how a row is encrypted.
struct Table {
    name: &'static str,
    /// The rows after a key ($1), in order: key, patient, key id, payload in the clear, and the numbers of its place.
    rows: &'static str,
    /// 1 keys, 2 versions, 3 payloads, 4 what was encrypted. Who changed a row meanwhile has encrypted it.
    update: &'static str,
    place: fn(&Row) -> Result<Place, tokio_postgres::Error>,
}

/// Batches are small where a row may be large: a resource has 6 MB at most, an observation some thousand bytes.
const TABLES: [Table; 3] = [
    Table {
        name: "observation",
        rows: "
SELECT o.id::text AS key, 0 AS version, o.patient_id, o.scope_id, o.id, uuid_send(p.payload_key) AS payload_key, o.content
  FROM observation o JOIN patient p ON p.id = o.patient_id
 WHERE o.id > coalesce($1::text, '0')::bigint ORDER BY o.id LIMIT 200",
        update: "
UPDATE observation o SET payload = n.payload, content = NULL
  FROM unnest($1::text[], $2::int[], $3::bytea[], $4::text[]) AS n (key, version, payload, content)
 WHERE o.id = n.key::bigint AND n.version = 0 AND o.payload IS NULL AND o.content = n.content",
        place: |row| Ok(Place::Observation { patient: row.try_get("patient_id")?, id: row.try_get("id")? }),
    },
    Table {
        name: "auxiliary",
        rows: "
SELECT x.number::text AS key, x.version, x.patient_id, x.scope_id, x.source_id, uuid_send(p.payload_key) AS payload_key, x.content
  FROM auxiliary x JOIN patient p ON p.id = x.patient_id
 WHERE x.number > coalesce($1::text, '0')::bigint ORDER BY x.number LIMIT 20",
        update: "
UPDATE auxiliary x SET payload = n.payload, content = NULL
  FROM unnest($1::text[], $2::int[], $3::bytea[], $4::text[]) AS n (key, version, payload, content)
 WHERE x.number = n.key::bigint AND x.version = n.version AND x.payload IS NULL AND x.content = n.content",
        place: auxiliary,
    },
    Table {
        name: "auxiliary_version",
        rows: "
SELECT x.id || ' ' || x.version AS key, x.version, x.patient_id, x.scope_id, x.source_id, uuid_send(p.payload_key) AS payload_key,
       x.content
  FROM auxiliary_version x JOIN patient p ON p.id = x.patient_id
 WHERE (x.id, x.version) > (split_part(coalesce($1::text, '00000000-0000-0000-0000-000000000000 0'), ' ', 1)::uuid,
                            split_part(coalesce($1::text, ' 0'), ' ', 2)::int)
 ORDER BY x.id, x.version LIMIT 20",
        update: "
UPDATE auxiliary_version x SET payload = n.payload, content = NULL
  FROM unnest($1::text[], $2::int[], $3::bytea[], $4::text[]) AS n (key, version, payload, content)
 WHERE x.id = split_part(n.key, ' ', 1)::uuid AND x.version = n.version AND x.payload IS NULL AND x.content = n.content",
        place: auxiliary,
    },
];

fn auxiliary(row: &Row) -> Result<Place, tokio_postgres::Error> {
    Ok(Place::Auxiliary {
        patient: row.try_get("patient_id")?,
        scope: row.try_get("scope_id")?,
        source: row.try_get("source_id")?,
    })
}

/// Where the walk over a table is. Who has the row is the only one who walks.
const WALK: &str = "SELECT reached, found FROM payload_walk WHERE of_table = $1 AND NOT is_done FOR UPDATE";

const REACHED: &str = "UPDATE payload_walk SET reached = $2, found = found OR $3 WHERE of_table = $1";

/// The end of a table: done when nothing was in the clear on all the way, or else to be walked again.
const ENDED: &str =
    "UPDATE payload_walk SET is_done = NOT found, reached = NULL, found = false WHERE of_table = $1 RETURNING is_done";

/// What was encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encrypted {
    /// How many rows.
    pub rows: u64,
    /// Whether nothing is left in the clear.
    pub is_complete: bool,
}

/// Whether the tables are so for long enough that no function runs any more that knows them otherwise.
const IS_TIME: &str =
    "SELECT coalesce(min(made_at) <= now() - make_interval(secs => $1), true) FROM payload_walk WHERE NOT is_done";

/// Encrypts what is stored in the clear, until it is all done or the time has come. For the owner, when no function runs any more
/// that reads payloads in the clear only: none, when that is possible for less than `since`.
pub async fn encrypt_payloads(
    owner: &DatabaseConfig,
    keys: &dyn PayloadKeys,
    since: Duration,
    until: Instant,
) -> Result<Option<Encrypted>, LoginError> {
    let mut client = connect_owner(owner).await?;
    let is_time = client.query_one(IS_TIME, &[&since.as_secs_f64()]).await.map_err(StoreError::from)?;
    if !is_time.try_get::<_, bool>(0).map_err(StoreError::from)? {
        return Ok(None);
    }
    let mut encrypted = Encrypted { rows: 0, is_complete: true };
    for table in &TABLES {
        // What is written while it is walked is written after it, and a second walk finds nothing.
        let mut walks = 0;
        while walks < 2 {
            if Instant::now() >= until {
                encrypted.is_complete = false;
                return Ok(Some(encrypted));
            }
            match batch(&mut client, table, keys).await? {
                Step::Rows(count) => encrypted.rows += count,
                Step::Done => break,
                Step::Again => walks += 1,
            }
        }
        encrypted.is_complete &= walks < 2;
    }
    Ok(Some(encrypted))
}

/// What came of a batch.
enum Step {
    /// So many rows were encrypted, and there may be more.
    Rows(u64),
    /// Nothing is in the clear.
    Done,
    /// The end was reached, and something was in the clear on the way.
    Again,
}

async fn batch(client: &mut Client, table: &Table, keys: &dyn PayloadKeys) -> Result<Step, StoreError> {
    let transaction = client.transaction().await?;
    let Some(walk) = transaction.query_opt(WALK, &[&table.name]).await? else { return Ok(Step::Done) };
    let reached: Option<&str> = walk.try_get(0)?;
    let rows = transaction.query(table.rows, &[&reached]).await?;
    let Some(last) = rows.last() else {
        let is_done: bool = transaction.query_one(ENDED, &[&table.name]).await?.try_get(0)?;
        transaction.commit().await?;
        return Ok(if is_done { Step::Done } else { Step::Again });
    };
    let (count, found) = encrypt(&transaction, table, keys, &rows).await?;
    transaction.execute(REACHED, &[&table.name, &last.try_get::<_, &str>("key")?, &found]).await?;
    transaction.commit().await?;
    Ok(Step::Rows(count))
}

/// The keys of rows. As for an upload: none is made for whom something was encrypted with another.
async fn keys_for(
    transaction: &Transaction<'_>,
    keys: &dyn PayloadKeys,
    clear: &[(&Row, KeyId, &str)],
) -> Result<HashMap<KeyId, Held>, StoreError> {
    let ids: BTreeSet<KeyId> = clear.iter().map(|(_, id, _)| *id).collect();
    let held = keys.held(&ids).await.map_err(StoreError::Keys)?;
    let mut looked_at = BTreeSet::new();
    for (row, id, _) in clear {
        if matches!(held.get(id), Some(Held::Missing) | None) && looked_at.insert(*id) {
            let patient: i32 = row.try_get("patient_id")?;
            if transaction.query_one(HAS_PAYLOADS, &[&patient]).await?.try_get(0)? {
                return Err(not_in_vault());
            }
        }
    }
    if looked_at.is_empty() { Ok(held) } else { keys.made(&ids).await.map_err(StoreError::Keys) }
}

/// Encrypts those rows that are in the clear: how many, and whether there were any. Those of a patient whose key was destroyed stay
/// until they are deleted.
async fn encrypt(
    transaction: &Transaction<'_>,
    table: &Table,
    keys: &dyn PayloadKeys,
    rows: &[Row],
) -> Result<(u64, bool), StoreError> {
    let mut clear = Vec::new();
    for row in rows {
        if let Some(text) = row.try_get::<_, Option<&str>>("content")? {
            let id = super::key_id(row)?.ok_or(StoreError::Corrupt("payload_key"))?;
            clear.push((row, id, text));
        }
    }
    let held = keys_for(transaction, keys, &clear).await?;
    let (mut names, mut versions, mut payloads, mut texts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (row, id, text) in &clear {
        let Some(payload) = sealed(&held, *id, (table.place)(row)?, text)? else { continue };
        names.push(row.try_get::<_, &str>("key")?);
        versions.push(row.try_get::<_, i32>("version")?);
        payloads.push(payload);
        texts.push(*text);
    }
    let count = transaction.execute(table.update, &[&names, &versions, &payloads, &texts]).await?;
    Ok((count, !clear.is_empty()))
}
