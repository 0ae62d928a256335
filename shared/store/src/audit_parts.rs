//! The parts of the audit, one for each month.

use crate::{Store, StoreError};
use audit::Context;
use jiff::Timestamp;
use tokio_postgres::types::{Json, Type};

/// Of the months to come, how many have their part ahead of time: so many daily calls may fail.
const AHEAD: i32 = 3;

/// What there is of parts.
#[derive(Clone, Copy, Debug)]
pub struct AuditParts {
    /// How many were made.
    pub made: i32,
    /// From when on there is none by months.
    pub until: Timestamp,
}

impl Store {
    /// Makes the parts of this month and of the next ones that are not there. If there were such, that is recorded.
    pub async fn make_audit_parts(&self, context: &Context) -> Result<AuditParts, StoreError> {
        let client = self.connection().await?;
        let statement = client
            .prepare_typed_cached(
                "WITH made AS MATERIALIZED (SELECT audit_make_parts($2) AS parts)
                 SELECT parts, CASE WHEN parts > 0
                                    THEN audit_record($1 || jsonb_build_object('detail', jsonb_build_object('parts', parts)),
                                                      'allowed', NULL, '{}', '{}', '{}', '{}') END
                   FROM made",
                &[Type::JSONB, Type::INT4],
            )
            .await?;
        let made = client.query_one(&statement, &[&Json(context), &AHEAD]).await?.try_get("parts")?;
        let end = client.prepare_typed_cached("SELECT audit_parts_end()", &[]).await?;
        Ok(AuditParts { made, until: client.query_one(&end, &[]).await?.try_get(0)? })
    }
}
