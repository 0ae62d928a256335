//! `GET /api/v1/patients/{id}/consents/history`: every decision about a patient's data, newest first; with
//! `at`, those up to that instant.

use api::{Content, Kind, Operation, PAGE, Parameter, parameter, shapes};
use audit::Action;
use jiff::Timestamp;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, rest::List};
use serde::Serialize;
use store::{ConsentEvent, Named, Reader, Scope};

/// The function.
pub const FUNCTION: Function =
    Function::new("consents-history", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const AT: [Parameter; 1] =
    [parameter("at", Kind::Instant, "Only decisions up to this instant, which is not in the future.")];

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/patients/{id}/consents/history",
    "Every decision about a patient's data, newest first",
    "The patient. Every role in an organization of the patient: decisions about its studies. Super admins.",
)
.with(&[&PAGE, &AT])
.answers(&[(200, Content::Page(&shapes::consent::CONSENT_EVENT))])];

/// An event of the ledger.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: i64,
    decided_at: Timestamp,
    study: &'a Named,
    scope_code: &'a Scope,
    decision: &'static str,
    consented: Option<bool>,
    actions: &'a str,
    decided_by: &'a Named,
    /// The authorization, when a practitioner decided on behalf of the patient.
    authorization_reference: Option<&'a str>,
}

impl<'a> From<&'a ConsentEvent> for Row<'a> {
    fn from(event: &'a ConsentEvent) -> Self {
        Self {
            id: event.id,
            decided_at: event.decided_at,
            study: &event.study,
            scope_code: &event.scope,
            decision: event.decision.name(),
            consented: event.decision.consented(),
            actions: &event.actions,
            decided_by: &event.decided_by,
            authorization_reference: event.authorization_reference.as_deref(),
        }
    }
}

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("id")?;
    let list = List::parse(app, request, actor.user).await?;
    let context = request.audit(Some(&actor), Action::Search, "Consent");
    let at = list.past_instant("at", app.now())?;
    let history = app
        .store()
        .await?
        .consent_history(&context, Reader::from(&actor), id, at, list.slice())
        .await?
        // Whatever refused, the caller is told the same: a patient who may not be seen does not exist.
        .map_err(|_| Failure::NotFound)?;
    let rows: Vec<Row<'_>> = history.rows.iter().map(Row::from).collect();
    let next = rows.last().filter(|_| history.more).map(|row| row.id);
    list.page(app, actor.user, history.total, &rows, next).await
}
