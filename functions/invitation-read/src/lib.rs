//! `GET /api/v1/invitation/{invitation}`: one invitation that the caller may see. Never with its token.

use api::{Content, Operation, shapes::clients::INVITATION};
use audit::Action;
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json};
use store::{InvitationFilter, Reader, Slice};

/// The function.
pub const FUNCTION: Function =
    Function::new("invitation-read", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/invitation/{invitation}",
    "One invitation, never with its token",
    "Members of an organization that issued it, in any role; the patient; super admins.",
)
.answers(&[(200, Content::Object(&INVITATION))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = Some(request.id_variable("invitation")?);
    let filter = InvitationFilter { id, patient: None, client: None, status: None, slice: Slice::ONE };
    let context = request.audit(Some(&actor), Action::Read, "Invitation");
    let page = app.store().await?.invitations(&context, Reader::from(&actor), &filter).await?;
    // Whatever refused, the caller is told the same: an invitation that may not be seen does not exist.
    let invitation = page.ok().and_then(|page| page.rows.into_iter().next()).ok_or(Failure::NotFound)?;
    Ok(json(StatusCode::OK, &invitation)?)
}
