//! `DELETE /api/v1/users/{id}/second-factor`: a super admin removes all second factors of a user who lost them, after making
//! sure who it is (OWASP ASVS 5.0 section 6.4.4). The password stays, everything that is open ends, and the user is told.

use api::{Content, Operation};
use audit::{Action, Target};
use authz::UserId;
use mail::Notice;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, no_content};

/// The function.
pub const FUNCTION: Function = Function::new("users-factor-remove", Protocol::Rest, Needs::Database, |app, request| {
    Box::pin(handle(app, request))
})
.describing(&OPERATIONS);

const OPERATIONS: [Operation; 1] = [Operation::new(
    "DELETE /api/v1/users/{id}/second-factor",
    "Remove all second factors of a user who lost them",
    "Super admins; not their own.",
)
.conditional()
.also_fails(&[409])
.answers(&[(204, Content::Nothing)])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let context = request.audit(Some(&actor), Action::Delete, "SecondFactor");
    request.permit_super_admin(app, &context, &Target::nothing(), &actor).await?;
    request.has_no_version()?;
    let user = UserId(request.id_variable("id")?);
    // Who could take away the own factor with a token alone would not need it.
    if user == actor.user {
        return Err(Failure::Conflict("Ask another super admin to remove your own second factor."));
    }
    let Some(email) = app.store().await?.remove_all_factors(&context, user).await? else {
        return Err(Failure::NotFound);
    };
    mail::tell(app, request, &email, Notice::FactorRemoved).await;
    Ok(no_content())
}
