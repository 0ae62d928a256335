//! The end of invitations whose links were shown to somebody who may not have them any more: with the token they could act as the
//! patient. What was sent by e-mail stays, since nobody but the patient has it.

use crate::StoreError;
use audit::Context;
use authz::UserId;
use deadpool_postgres::Transaction;
use tokio_postgres::types::{Json, Type};

/// Cancels the invitations `i` that were shown, that can still be redeemed, or redeemed again, and for which `condition` holds on
/// the rows of `from`. For the CTE `cancelled`.
pub(crate) fn cancel_shown(from: &str, condition: &str) -> String {
    format!(
        "UPDATE invitation i SET status = 'cancelled', last_updated = clock_timestamp()
           FROM {from}
          WHERE NOT i.emailed AND i.status IN ('issued', 'redeemed') AND i.expires_at > clock_timestamp() AND {condition}
         RETURNING i.id, i.patient_id"
    )
}

/// What the record of the act says of them: a member to be added to what was changed, or null.
pub(crate) const CANCELLED: &str = "
(SELECT jsonb_build_object('cancelled invitations', jsonb_agg(id ORDER BY id)) FROM cancelled HAVING count(*) > 0)";

/// Whom they were for.
pub(crate) const CANCELLED_FOR: &str = "ARRAY(SELECT DISTINCT patient_id FROM cancelled ORDER BY 1)";

/// Ends what an account issued and was shown, wherever it worked, each with an audit record of its own, in one statement.
pub(crate) async fn end_shown_to(
    transaction: &Transaction<'_>,
    context: &Context,
    user: UserId,
) -> Result<(), StoreError> {
    let cancelled = cancel_shown("(VALUES ($2)) ended (id)", "i.issued_by = ended.id");
    let statement = format!(
        "WITH cancelled AS ({cancelled})
         SELECT audit_record($1 || jsonb_build_object('action', 'update', 'resource_type', 'Invitation'), 'allowed', NULL,
                             ARRAY(SELECT organization_id FROM invitation_organization WHERE invitation_id = i.id ORDER BY 1),
                             '{{}}', ARRAY[i.patient_id], '{{}}', NULL, jsonb_build_object('id', i.id, 'status', i.status),
                             jsonb_build_object('id', i.id, 'status', 'cancelled'))
           FROM cancelled c JOIN invitation i ON i.id = c.id"
    );
    let statement = transaction.prepare_typed_cached(&statement, &[Type::JSONB, Type::INT4]).await?;
    transaction.query(&statement, &[&Json(context), &user.0]).await?;
    Ok(())
}
