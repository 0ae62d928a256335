//! The clients that practitioners make for themselves end with the account.

use super::{audited, kept};
use crate::StoreError;
use audit::Context;
use authz::UserId;
use deadpool_postgres::Transaction;
use tokio_postgres::types::{Json, Type};

/// Ends what an account made for itself, with the audit records, in one statement. Their secrets do not come back when the
/// account is active again.
pub(crate) async fn end_own_clients(
    transaction: &Transaction<'_>,
    context: &Context,
    user: UserId,
) -> Result<(), StoreError> {
    let record_end = audited(&kept("c"), "NULL");
    let statement = transaction
        .prepare_typed_cached(
            &format!(
                "WITH changed AS (
                   UPDATE oauth_client SET deleted_at = clock_timestamp() WHERE owned_by = $2 AND deleted_at IS NULL RETURNING *
                 ) SELECT {record_end} FROM changed c"
            ),
            &[Type::JSONB, Type::INT4],
        )
        .await?;
    transaction.query(&statement, &[&Json(context), &user.0]).await?;
    Ok(())
}
