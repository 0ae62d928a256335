//! `DELETE /api/v1/users/{id}/sessions` and `DELETE /api/v1/users/sessions`: a super admin ends all sessions of a user and the
//! access of all their apps, or those of everybody (OWASP ASVS 5.0 section 7.4.5).

use api::{Content, Operation};
use audit::{Action, Target};
use authz::{Layer, Refusal, UserId};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, no_content};

/// The function.
pub const FUNCTION: Function =
    Function::new("users-sessions-end", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 2] = [
    Operation::new(
        "DELETE /api/v1/users/{id}/sessions",
        "End all sessions of a user and the access of their apps",
        "Super admins.",
    )
    .conditional()
    .answers(&[(204, Content::Nothing)]),
    Operation::new(
        "DELETE /api/v1/users/sessions",
        "End all sessions of everybody and the access of their apps",
        "Super admins.",
    )
    .conditional()
    .answers(&[(204, Content::Nothing)]),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let context = request.audit(Some(&actor), Action::Delete, "Session");
    if !actor.is_privileged() {
        return Err(request.refuse(app, &context, &Target::nothing(), Refusal::known(Layer::UserType)).await);
    }
    request.has_no_version()?;
    let store = app.store().await?;
    if request.variable("id").is_none() {
        store.end_everybodys_access(&context).await?;
        return Ok(no_content());
    }
    let user = UserId(request.id_variable("id")?);
    if store.end_access_of(&context, user).await? { Ok(no_content()) } else { Err(Failure::NotFound) }
}
