//! `GET /api/v1/invitation`: the invitations that the caller may see, newest first; of one patient, one client or with one status
//! by `patient_id`, `client_id` and `status`. Never with a token.

use api::{
    Content, Kind, Operation, PAGE, Parameter, parameter,
    shapes::clients::{INVITATION, INVITATION_STATUSES},
};
use audit::Action;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, rest::List};
use store::{InvitationFilter, Reader};

/// The function.
pub const FUNCTION: Function =
    Function::new("invitation-list", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const FILTERS: [Parameter; 3] = [
    parameter("patient_id", Kind::Integer, "Only for this patient."),
    parameter("client_id", Kind::Integer, "Only for this client's row."),
    parameter("status", Kind::OneOf(&INVITATION_STATUSES), "Only with this status."),
];

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/invitation",
    "Invitations, newest first, never with a token",
    "Practitioners, those that their organizations issued; patients, their own; super admins, all.",
)
.with(&[&PAGE, &FILTERS])
.answers(&[(200, Content::Page(&INVITATION))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let list = List::parse(app, request, actor.user).await?;
    let status = list.text("status");
    if status.is_some_and(|status| !INVITATION_STATUSES.contains(&status)) {
        return Err(Failure::field("status", "Use issued, redeemed, reissued or cancelled."));
    }
    let filter = InvitationFilter {
        id: None,
        patient: list.id("patient_id")?,
        client: list.id("client_id")?,
        status,
        slice: list.slice(),
    };
    let context = request.audit(Some(&actor), Action::Search, "Invitation");
    let page = app.store().await?.invitations(&context, Reader::from(&actor), &filter).await?;
    // Whatever refused, the caller is told the same: a patient who may not be seen does not exist.
    let page = page.map_err(|_| Failure::NotFound)?;
    let next = page.rows.last().filter(|_| page.more).map(|invitation| i64::from(invitation.id));
    list.page(app, actor.user, page.total, &page.rows, next).await
}
