//! An incident is contained: everything that is open of an account, a client, an organization's people or everybody ends, and
//! the account or the client is blocked until an operator lets it go again. Only operators call it: by `aws lambda invoke`, or by
//! `jhe contain` on the host. It has neither a route nor a schedule.
//!
//! It acts as the database's owner (`DB_OWNER_USER`): what it blocks, no function that answers requests can let go.

use audit::{Action, Context};
use runtime::{App, Failure, Needs, Occasion, Scheduled};
use serde_json::{Value, json};
use store::{AccountName, Incident, Measure};

/// The function.
pub const FUNCTION: Scheduled = Scheduled::new(
    "contain",
    "contain",
    "end what is open of an account, a client or everybody, and block it",
    Needs::Nothing,
    |app, occasion| Box::pin(handle(app, occasion)),
);

/// What the audit calls it.
const RESOURCE: &str = "Containment";

async fn handle(app: &App, occasion: &Occasion) -> Result<Value, Failure> {
    let incident = incident(occasion)?;
    let measure = if occasion.asks("release") { Measure::Release } else { Measure::Contain };
    if incident == Incident::Everything && measure == Measure::Release {
        return Err(Failure::Invalid(
            "What ended of everybody is not blocked: there is nothing to release.".to_owned(),
        ));
    }
    let context = Context { reason: occasion.reason()?, ..occasion.audit(Action::Execute, RESOURCE) };
    let done = store::contain(&app.owner()?, &context, &incident, measure).await?;
    let done = done.ok_or_else(|| Failure::Invalid(missing(measure).to_owned()))?;
    let mut report = json!({
        "measure": if measure == Measure::Contain { "contain" } else { "release" },
        "changed": done.changed,
        "ended": done.ended,
        "requestId": occasion.id(),
    });
    if let Some(report) = report.as_object_mut() {
        let of_client = done.client.map(|client| ("client".to_owned(), json!(client)));
        let users = if incident == Incident::Everything { json!("all") } else { json!(done.users) };
        report.extend([of_client.unwrap_or_else(|| ("users".to_owned(), users))]);
    }
    Ok(report)
}

const fn missing(measure: Measure) -> &'static str {
    match measure {
        Measure::Contain => "There is no such account, client, or organization with people in it.",
        Measure::Release => "There is no such client, and nobody is contained by that.",
    }
}

/// What the caller names: one thing.
fn incident(occasion: &Occasion) -> Result<Incident, Failure> {
    let organization = occasion.text("organization").map(|text| {
        text.parse()
            .map(Incident::Organization)
            .map_err(|_| Failure::Invalid("An organization has a number.".to_owned()))
    });
    let named = [
        occasion.text("user").map(|text| Ok(Incident::Account(AccountName::of(text)))),
        occasion.text("client").map(|text| Ok(Incident::Client(text.to_owned()))),
        organization,
        occasion.asks("everything").then_some(Ok(Incident::Everything)),
    ];
    let mut named = named.into_iter().flatten();
    match (named.next(), named.next()) {
        (Some(incident), None) => incident,
        _ => Err(Failure::Invalid("Say one of: user, client, organization, everything.".to_owned())),
    }
}
