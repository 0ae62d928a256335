//! The audit is sealed: what was recorded since the last seal gets one hash, which is signed and kept where nobody changes it
//! (`seals`). Called by a schedule every quarter of an hour. The report says how old the oldest event is that no seal covers yet.

use audit::Action;
use runtime::{App, Failure, Needs, Occasion, Scheduled};
use seals::RESOURCE;
use serde_json::Value;
use std::time::Duration;

/// The function.
pub const FUNCTION: Scheduled =
    Scheduled::new("audit-seal", "audit seal", "seal what the audit has recorded", Needs::Database, |app, occasion| {
        Box::pin(handle(app, occasion))
    })
    .every(Duration::from_mins(15))
    .in_background();

async fn handle(app: &App, occasion: &Occasion) -> Result<Value, Failure> {
    app.store().await?.record(&occasion.audit(Action::Execute, RESOURCE)).await?;
    Ok(serde_json::to_value(seals::make(app).await?)?)
}
