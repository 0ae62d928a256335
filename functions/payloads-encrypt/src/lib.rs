//! Payloads that an earlier version stored in the clear are encrypted, in batches, by the owner of the database. Called by a schedule
//! once a day; it finds out whether there is something to do, goes on where it was, and does nothing for an hour after the migration:
//! functions of the version before may run until then, which read payloads in the clear only. The caller can ask not to wait for
//! that, with `{"now": true}`.

use audit::Action;
use runtime::{App, Failure, Needs, Occasion, Scheduled};
use serde_json::{Value, json};
use std::time::Duration;

/// The function.
pub const FUNCTION: Scheduled = Scheduled::new(
    "payloads-encrypt",
    "encrypt-payloads",
    "encrypt payloads of earlier versions; --now, without waiting for functions of them to end",
    Needs::Database,
    |app, occasion| Box::pin(handle(app, occasion)),
)
.taking(&["now"])
.in_background();

/// Less than Lambda allows.
const PATIENCE: Duration = Duration::from_mins(14);

/// For how long after the migration functions of the version before may run.
const OLD_ONES_END: Duration = Duration::from_hours(1);

async fn handle(app: &App, occasion: &Occasion) -> Result<Value, Failure> {
    let Some(owner) = app.known_owner()? else {
        return Ok(json!({ "outcome": "no owner", "setting": "DB_OWNER_USER" }));
    };
    let since = if occasion.asks("now") { Duration::ZERO } else { OLD_ONES_END };
    let Some(encrypted) = app.encrypt_payloads(&owner, since, PATIENCE).await? else {
        return Ok(json!({ "outcome": "not yet" }));
    };
    if encrypted.rows > 0 {
        let context = occasion.audit(Action::Execute, "Payload");
        app.store().await?.record_outcome(&context, true, &json!({ "rows": encrypted.rows })).await?;
    }
    let outcome = if encrypted.is_complete { "complete" } else { "to be continued" };
    Ok(json!({ "outcome": outcome, "rows": encrypted.rows }))
}
