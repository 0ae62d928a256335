//! Attempts to guess something, counted before they are judged, so that those sent at the same time count too.

use crate::{Store, StoreError};
use deadpool_postgres::Transaction;
use oauth::throttle::{Keys, Policy, Tallies, Tally};
use tokio_postgres::types::Type;

/// A row for each key, so that there is something to lock. In the order of the keys, as everywhere: no two attempts wait
/// for each other.
const PREPARE: &str = "
INSERT INTO login_failure (account_hash, failures, last_failure)
SELECT key, 0, '-infinity' FROM unnest($1::bytea[]) key ORDER BY key
ON CONFLICT DO NOTHING";

const LOCK: &str = "
SELECT account_hash, failures, succeeded,
       CASE WHEN last_failure > '-infinity'
            THEN least(extract(epoch FROM clock_timestamp() - last_failure), 1e9)::int4 END AS seconds_since
  FROM login_failure WHERE account_hash = ANY ($1) ORDER BY account_hash FOR UPDATE";

const COUNT: &str = "
UPDATE login_failure f SET failures = counted.failures, last_failure = clock_timestamp()
  FROM unnest($1::bytea[], $2::int4[]) counted (key, failures) WHERE f.account_hash = counted.key";

/// 1 pair, 2 account, 3 address. The success was counted as an attempt from its address before.
const SUCCEEDED: &str = "
UPDATE login_failure
   SET failures = CASE account_hash WHEN $3 THEN greatest(failures - 1, 0) ELSE 0 END,
       succeeded = succeeded OR account_hash = $1
 WHERE account_hash IN ($1, $2, $3)";

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It may be judged. If it is wrong, it is the so-manieth failure in a row on the account.
    Counted(u32),
    /// It has to wait for so many seconds.
    Wait(u32),
}

impl Store {
    /// Counts an attempt, unless the counts of before say that it has to wait. One that has to wait does not prolong the
    /// wait.
    pub async fn begin_attempt(&self, policy: &Policy, keys: &Keys) -> Result<Attempt, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client.transaction().await?;
        let tallies = lock(&transaction, keys).await?;
        let wait = policy.wait(&tallies);
        if wait.is_none() {
            let statement = transaction.prepare_typed_cached(COUNT, &[Type::BYTEA_ARRAY, Type::INT4_ARRAY]).await?;
            let failures = [tallies.pair, tallies.account, tallies.address]
                .map(|tally| i32::try_from(tally.next()).unwrap_or(i32::MAX));
            transaction.execute(&statement, &[&bytes(keys).as_slice(), &failures.as_slice()]).await?;
        }
        transaction.commit().await?;
        Ok(wait.map_or_else(|| Attempt::Counted(tallies.account.next()), Attempt::Wait))
    }

    /// Takes back what an attempt counted that was right, and remembers from where.
    pub async fn attempt_succeeded(&self, keys: &Keys) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(SUCCEEDED, &[Type::BYTEA, Type::BYTEA, Type::BYTEA]).await?;
        let [pair, account, address] = bytes(keys);
        client.execute(&statement, &[&pair, &account, &address]).await?;
        Ok(())
    }
}

async fn lock(transaction: &Transaction<'_>, keys: &Keys) -> Result<Tallies, StoreError> {
    let bytes = bytes(keys);
    let prepare = transaction.prepare_typed_cached(PREPARE, &[Type::BYTEA_ARRAY]).await?;
    transaction.execute(&prepare, &[&bytes.as_slice()]).await?;
    let select = transaction.prepare_typed_cached(LOCK, &[Type::BYTEA_ARRAY]).await?;
    let rows = transaction.query(&select, &[&bytes.as_slice()]).await?;
    let mut tallies = Tallies::default();
    for row in rows {
        let tally = Tally {
            failures: row.try_get::<_, i32>("failures")?.unsigned_abs(),
            seconds_since: row.try_get::<_, Option<i32>>("seconds_since")?.map(|seconds| seconds.max(0).unsigned_abs()),
            succeeded: row.try_get("succeeded")?,
        };
        match row.try_get::<_, &[u8]>("account_hash")? {
            key if key == keys.pair.as_bytes() => tallies.pair = tally,
            key if key == keys.account.as_bytes() => tallies.account = tally,
            _ => tallies.address = tally,
        }
    }
    Ok(tallies)
}

fn bytes(keys: &Keys) -> [&[u8]; 3] {
    [keys.pair.as_bytes(), keys.account.as_bytes(), keys.address.as_bytes()]
}
