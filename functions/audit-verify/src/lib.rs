//! The audit is checked against its seals: every seal, and every event under it (`seals`). Called by a schedule, with `since` for
//! less than all of it. It fails when something is not as it was sealed, and says what and where.

use audit::Action;
use runtime::{App, Failure, Needs, Occasion, Scheduled};
use seals::{Extent, RESOURCE};
use serde_json::Value;

/// The function.
pub const FUNCTION: Scheduled = Scheduled::new(
    "audit-verify",
    "audit verify",
    "check the audit against its seals; --since=DATE or DAYS, --head=HASH",
    Needs::Database,
    |app, occasion| Box::pin(handle(app, occasion)),
)
.in_background();

async fn handle(app: &App, occasion: &Occasion) -> Result<Value, Failure> {
    let extent = Extent::of(occasion, app.now())?;
    app.store().await?.record(&occasion.audit(Action::Execute, RESOURCE)).await?;
    let report = seals::check(app, &extent).await?;
    if report.is_good() {
        return Ok(serde_json::to_value(report)?);
    }
    tracing::error!(report = %serde_json::to_value(&report)?, "the audit is not as it was sealed");
    Err(Failure::Invalid(format!("The audit is not as it was sealed:{report}")))
}
