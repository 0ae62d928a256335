//! `GET /api/v1/patients/{id}/consents`: what a patient has consented to, now or at the instant `at`.

mod body;

use audit::Action;
use http::StatusCode;
use jiff::Timestamp;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, rest::List};
use store::Reader;

/// The function.
pub const FUNCTION: Function =
    Function::new("consents-read", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)));

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("id")?;
    let list = List::parse(app, request, actor.user).await?;
    let at = list.text("at").map(instant).transpose()?;
    let context = request.audit(Some(&actor), Action::Read, "Consent");
    // Whatever refused, the caller is told the same: a patient who may not be seen does not exist.
    let state = app.store().await?.consents(&context, Reader::from(&actor), id, at).await?;
    Ok(json(StatusCode::OK, &body::Consents::new(&state.map_err(|_| Failure::NotFound)?))?)
}

/// An instant of RFC 3339, of the years 1 to 9999.
fn instant(text: &str) -> Result<Timestamp, Failure> {
    let years = Timestamp::constant(-62_135_596_800, 0)..Timestamp::constant(253_402_128_000, 0);
    text.parse()
        .ok()
        .filter(|at| years.contains(at))
        .ok_or_else(|| Failure::field("at", "Enter an instant such as 2026-11-21T18:00:00Z; write + as %2B in a URL."))
}
