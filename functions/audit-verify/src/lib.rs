//! The audit is checked against its seals: every seal, and every event under it (`seals`). Called by a schedule, with `since` for
//! less than all of it. It fails when something is not as it was sealed, and says what and where.

use alert::Channels;
use audit::Action;
use runtime::{App, Failure, Needs, Occasion, Scheduled};
use seals::{Extent, RESOURCE, Report};
use serde_json::{Value, json};

const SUBJECT: &str = "JupyterHealth Exchange: the audit is not as it was sealed";

const TEXT: &str = "The check of the audit against its seals found differences. The log of audit-verify lists them, and so does \
`jhe audit verify`. What to do: docs/incident-response.md.\n";

/// The function.
pub const FUNCTION: Scheduled = Scheduled::new(
    "audit-verify",
    "audit verify",
    "check the audit against its seals; --since=DATE or DAYS, --head=HASH",
    Needs::Database,
    |app, occasion| Box::pin(handle(app, occasion)),
)
.taking(&["since=", "head="])
.in_background();

async fn handle(app: &App, occasion: &Occasion) -> Result<Value, Failure> {
    let extent = Extent::of(occasion, app.now())?;
    let checked = seals::check(app, &extent).await;
    // Recorded afterwards, with what it found. Where the audit itself is in the way of that, what was found is told first.
    let recorded = record(app, occasion, checked.as_ref().ok()).await;
    let report = checked?;
    if report.is_good() {
        recorded?;
        app.metrics().found(FUNCTION.name, 0);
        return Ok(serde_json::to_value(report)?);
    }
    app.metrics().found(FUNCTION.name, report.count());
    tracing::error!(report = %serde_json::to_value(&report)?, "the audit is not as it was sealed");
    if let Err(failure) = recorded {
        failure.log();
    }
    tell(app).await;
    Err(Failure::Invalid(format!("The audit is not as it was sealed:{report}")))
}

/// What was checked and how it ended, on record.
async fn record(app: &App, occasion: &Occasion, report: Option<&Report>) -> Result<(), Failure> {
    let is_good = report.is_some_and(Report::is_good);
    let detail = report.map_or_else(
        || json!({}),
        |report| json!({ "seals": report.seals, "events": report.events, "findings": report.count() }),
    );
    let context = occasion.audit(Action::Execute, RESOURCE);
    Ok(app.store().await?.record_outcome(&context, is_good, &detail).await?)
}

/// Tells people that something was found. What was found is in the log and in the answer, whether that succeeds or not.
async fn tell(app: &App) {
    let told = async {
        let channels = Channels::of(app)?;
        if channels.is_empty() {
            tracing::warn!("nobody is told of findings: set SECURITY_TOPIC_ARN or SECURITY_MAIL_TO");
            return Ok(());
        }
        channels.tell(app, SUBJECT, TEXT).await
    };
    if let Err(failure) = told.await {
        failure.log();
    }
}
