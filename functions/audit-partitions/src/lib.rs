//! The audit has a part for each month: those of the coming months are made ahead. Called by a schedule once a day; it makes
//! what is not there, and records that it did. If it fails for months, no event is lost: the last part has no end.

use audit::Action;
use runtime::{App, Failure, Needs, Occasion, Scheduled};
use serde_json::{Value, json};

/// The function.
pub const FUNCTION: Scheduled = Scheduled::new(
    "audit-partitions",
    "audit-partitions",
    "make the parts of the audit for the coming months",
    Needs::Database,
    |app, occasion| Box::pin(handle(app, occasion)),
);

async fn handle(app: &App, occasion: &Occasion) -> Result<Value, Failure> {
    let context = occasion.audit(Action::Create, "AuditPartition");
    let parts = app.store().await?.make_audit_parts(&context).await?;
    Ok(json!({ "made": parts.made, "until": parts.until }))
}
