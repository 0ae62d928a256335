//! The clients that practitioners make for themselves, and those that act as them, end with the account.

use super::{audited, kept};
use crate::StoreError;
use audit::Context;
use authz::UserId;
use deadpool_postgres::Transaction;
use tokio_postgres::types::{Json, Type};

/// Ends what acts as an account, with the audit records, in one statement: the practitioner's own clients, and backend services. A
/// client that also serves others stays for them, and acts as nobody. Nothing of it comes back when the account is active again.
pub(crate) async fn end_clients_that_act_as(
    transaction: &Transaction<'_>,
    context: &Context,
    user: UserId,
) -> Result<(), StoreError> {
    let record_end = audited(&kept("w"), &format!("CASE WHEN c.deleted_at IS NULL THEN {} END", kept("c")));
    let statement = transaction
        .prepare_typed_cached(
            &format!(
                "WITH ending AS MATERIALIZED (
                   SELECT id, grant_types = '{{client_credentials}}' AND resource_uri IS NULL AS whole
                     FROM oauth_client WHERE acts_as = $2 AND deleted_at IS NULL FOR NO KEY UPDATE
                 ), changed AS (
                   UPDATE oauth_client c
                      SET deleted_at = CASE WHEN e.whole THEN clock_timestamp() END,
                          acts_as = CASE WHEN e.whole THEN c.acts_as END,
                          grant_types = CASE WHEN e.whole THEN c.grant_types ELSE array_remove(c.grant_types, 'client_credentials') END,
                          last_updated = clock_timestamp()
                     FROM ending e WHERE c.id = e.id
                   RETURNING c.*
                 ) SELECT {record_end} FROM changed c JOIN oauth_client w ON w.id = c.id"
            ),
            &[Type::JSONB, Type::INT4],
        )
        .await?;
    transaction.query(&statement, &[&Json(context), &user.0]).await?;
    Ok(())
}
