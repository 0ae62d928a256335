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
    "Members and managers of an organization of the patient; super admins.",
)
.answers(&[(204, Content::Nothing)])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let id = request.id_variable("invitation")?;
    let context = request.audit(Some(&actor), Action::Delete, "Invitation");
    let store = app.store().await?;
    let Some((patient, _)) = store.invitation_of(id).await? else {
        store.record_refusal(&context, &Target::nothing(), RefusedBy::NotFound).await?;
        return Err(Failure::NotFound);
    };
    let role = store.role_over_patient(actor.practitioner(), patient).await?;
    request.permit(app, &context, &Target::patient(patient), &actor, Permission::Invite, role).await?;
    store.cancel_invitation(&context, id).await?;
    Ok(no_content())
}
