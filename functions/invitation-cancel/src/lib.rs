//! `DELETE /api/v1/invitation/{invitation}`: an invitation ends, redeemed or not. The tokens that the app got by it stay.

use api::{Content, Operation};
use audit::{Action, RefusedBy, Target};
use authz::Permission;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, no_content};

/// The function.
pub const FUNCTION: Function =
    Function::new("invitation-cancel", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new(
    "DELETE /api/v1/invitation/{invitation}",
    "End an invitation; the tokens that the app got by it stay",
    "Members and managers of an organization that issued it; super admins.",
)
.conditional()
.answers(&[(204, Content::Nothing)])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("invitation")?;
    let context = request.audit(Some(&actor), Action::Delete, "Invitation");
    let store = app.store().await?;
    let Some(invitation) = store.invitation_of(id, actor.practitioner()).await? else {
        store.record_refusal(&context, &Target::nothing(), RefusedBy::NotFound).await?;
        return Err(Failure::NotFound);
    };
    let target = Target::patient(invitation.patient);
    request.permit(app, &context, &target, &actor, Permission::Invite, invitation.role).await?;
    request.has_no_version()?;
    store.cancel_invitation(&context, id).await?;
    Ok(no_content())
}
