//! `GET /api/v1/patients/{id}/consents`: what a patient has consented to, now or at the instant `at`.

mod body;

use api::{Content, Kind, Operation, Parameter, parameter, shapes};
use audit::Action;
use body::Moment;
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, rest::List};
use store::Reader;

/// The function.
pub const FUNCTION: Function =
    Function::new("consents-read", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const AT: [Parameter; 1] = [parameter("at", Kind::Instant, "The state at this instant, which is not in the future.")];

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/patients/{id}/consents",
    "What a patient has consented to, now or at an instant",
    "The patient. Every role in an organization of the patient: its studies. Super admins.",
)
.with(&[&AT])
.answers(&[(200, Content::Object(&shapes::consent::CONSENTS))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("id")?;
    let list = List::parse(app, request, actor.user).await?;
    let at = list.past_instant("at", app.now())?;
    let context = request.audit(Some(&actor), Action::Read, "Consent");
    // Whatever refused, the caller is told the same: a patient who may not be seen does not exist.
    let state = app.store().await?.consents(&context, Reader::from(&actor), id, at).await?;
    let state = state.map_err(|_| Failure::NotFound)?;
    let moment = at.map_or(Moment::Now(app.now()), |_| Moment::Past);
    Ok(json(StatusCode::OK, &body::Consents::new(&state, moment))?)
}
