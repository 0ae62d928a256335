//! How much of their share users have spent with their clients.

use crate::{Store, StoreError};
use authz::{ClientId, UserId};
use std::time::Duration;
use tokio_postgres::types::Type;

/// 1 user, 2 client, 3 what is taken, 4 the whole share, both as microseconds in which it comes back.
const TAKE: &str = "
INSERT INTO rate_limit AS r (user_id, client_id, spent_until)
VALUES ($1, $2, statement_timestamp() + $3 * interval '1 microsecond')
ON CONFLICT (user_id, client_id) DO UPDATE
   SET spent_until = greatest(r.spent_until, statement_timestamp()) + $3 * interval '1 microsecond'
 WHERE r.spent_until <= statement_timestamp() + ($4 - $3) * interval '1 microsecond'";

const SPENT: &str = "
SELECT greatest((extract(epoch FROM spent_until - statement_timestamp()) * 1000000)::int8, 0)
  FROM rate_limit WHERE user_id = $1 AND client_id = $2";

impl Store {
    /// Takes a part of a user's share with a client. Shares are measured by the time in which they come back. When that much
    /// is not left, how much is spent.
    pub async fn take_share(
        &self,
        user: UserId,
        client: ClientId,
        part: Duration,
        whole: Duration,
    ) -> Result<Option<Duration>, StoreError> {
        let connection = self.connection().await?;
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        let take = connection.prepare_typed_cached(TAKE, &[Type::INT4, Type::INT4, Type::INT8, Type::INT8]).await?;
        if connection.execute(&take, &[&user.0, &client.0, &micros(part), &micros(whole)]).await? == 1 {
            return Ok(None);
        }
        let spent = connection.prepare_typed_cached(SPENT, &[Type::INT4, Type::INT4]).await?;
        let row = connection.query_opt(&spent, &[&user.0, &client.0]).await?;
        let left = row.map(|row| row.try_get::<_, i64>(0)).transpose()?.unwrap_or_default();
        Ok(Some(Duration::from_micros(left.unsigned_abs())))
    }
}
