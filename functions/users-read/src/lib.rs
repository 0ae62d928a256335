//! `GET /api/v1/users`: the accounts that the caller may see. `GET /api/v1/users/{id}`: one of them.
//! `GET /api/v1/users/search_by_email`: the practitioner with an e-mail, so that a manager can give them a role.
//! `GET /api/v1/practitioners` and `GET /api/v1/practitioners/{id}`: practitioners with an active account, for super admins.

use api::{Content, Kind, Operation, PAGE, Parameter, parameter, shapes};
use audit::{Action, RefusedBy, Target};
use authz::{Actor, Layer, Refusal, UserId};
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, rest::List, versioned};
use store::{Reader, Slice, UserPage};

/// The function.
pub const FUNCTION: Function =
    Function::new("users-read", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const EMAIL: [Parameter; 1] =
    [Parameter { required: true, ..parameter("email", Kind::Email, "The whole address, in any case.") }];

const OPERATIONS: [Operation; 5] = [
    Operation::new(
        "GET /api/v1/users",
        "The accounts that the caller may see",
        "Everybody their own; managers those of who works in the organizations that they manage; super admins all. Recorded.",
    )
    .with(&[&PAGE])
    .answers(&[(200, Content::Page(&shapes::USER))]),
    Operation::new("GET /api/v1/users/{id}", "One account", "Who may see it in the list of accounts. Recorded.").versioned()
        .answers(&[(200, Content::Object(&shapes::USER))]),
    Operation::new(
        "GET /api/v1/users/search_by_email",
        "The practitioner with an e-mail",
        "Managers of any organization; super admins. Patients are not found. Recorded.",
    )
    .with(&[&EMAIL])
    .also_fails(&[404])
    .answers(&[(200, Content::Object(&shapes::USER))]),
    Operation::new("GET /api/v1/practitioners", "All practitioners with an active account", "Super admins. Recorded.")
        .with(&[&PAGE])
        .answers(&[(200, Content::Page(&shapes::PRACTITIONER))]),
    Operation::new("GET /api/v1/practitioners/{id}", "One practitioner with an active account", "Super admins. Recorded.").versioned()
        .answers(&[(200, Content::Object(&shapes::PRACTITIONER))]),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    if request.path().starts_with("/api/v1/practitioners") {
        return practitioners(app, request, &actor).await;
    }
    if request.variable("id").is_some() {
        return one(app, request, &actor).await;
    }
    let list = List::parse(app, request, actor.user).await?;
    if request.path().ends_with("/search_by_email") {
        return by_email(app, request, &actor, &list).await;
    }
    let context = request.audit(Some(&actor), Action::Search, "User");
    let page: UserPage = app.store().await?.users(&context, Reader::from(&actor), actor.user, list.slice()).await?;
    let end = page.rows.last().filter(|_| page.more).map(|user| i64::from(user.id));
    list.page(app, actor.user, page.total, &page.rows, end).await
}

async fn one(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let id: UserId = request.id_variable("id")?;
    let context = request.audit(Some(actor), Action::Read, "User");
    match app.store().await?.user(&context, Reader::from(actor), actor.user, id).await? {
        Ok(user) => Ok(versioned(json(StatusCode::OK, &user)?, user.last_updated)),
        Err(RefusedBy::NotFound) if actor.is_privileged() => Err(Failure::NotFound),
        // The same for an account that is not the caller's to see and for one that nobody has.
        Err(_) => Err(Failure::Refused(Refusal::known(Layer::Organization))),
    }
}

async fn by_email(app: &App, request: &Request, actor: &Actor, list: &List) -> Result<Response, Failure> {
    let context = request.audit(Some(actor), Action::Search, "User");
    let email = list.text("email").map(str::trim).unwrap_or_default();
    let found = app.store().await?.practitioner_by_email(&context, Reader::from(actor), email).await?;
    if matches!(found, Err(RefusedBy::Layer(_))) || !email.is_empty() {
        return Ok(json(StatusCode::OK, &found?)?);
    }
    Err(Failure::field("email", "This field is required."))
}

async fn practitioners(app: &App, request: &Request, actor: &Actor) -> Result<Response, Failure> {
    let by_id = request.variable("id").is_some();
    let action = if by_id { Action::Read } else { Action::Search };
    let context = request.audit(Some(actor), action, "Practitioner");
    request.permit_super_admin(app, &context, &Target::nothing(), actor).await?;
    let store = app.store().await?;
    if by_id {
        let id = request.id_variable("id")?;
        let page = store.practitioner_accounts(&context, &[id], Slice::ONE).await?;
        let practitioner = page.rows.into_iter().next().ok_or(Failure::NotFound)?;
        return Ok(versioned(json(StatusCode::OK, &practitioner)?, practitioner.last_updated));
    }
    let list = List::parse(app, request, actor.user).await?;
    let page = store.practitioner_accounts(&context, &[], list.slice()).await?;
    let end = page.rows.last().filter(|_| page.more).map(|practitioner| i64::from(practitioner.id));
    list.page(app, actor.user, page.total, &page.rows, end).await
}
