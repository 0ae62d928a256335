//! `POST /api/v1/users`, `POST /api/v1/practitioners`: a super admin makes a practitioner's account.
//! `PATCH /api/v1/users/{id}`, `PATCH /api/v1/practitioners/{id}`: everybody changes their own names and settings; a super
//! admin changes names, and of others whether the account is active and a super admin's.
//! `DELETE /api/v1/users/{id}`, `DELETE /api/v1/practitioners/{id}`: a super admin ends an account. It stays, without use: the
//! ledger of consents and the audit name it.

mod create;
mod practitioners;
mod users;

use api::{Content, Operation, shapes};
use http::Method;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response};

/// The function.
pub const FUNCTION: Function =
    Function::new("users-change", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 6] = [
    Operation::new(
        "POST /api/v1/users",
        "Make a practitioner's account. A link to choose a password goes to its address, if the deployment sends mail.",
        "Super admins.",
    )
    .versioned()
    .takes(&users::NEW)
    .answers(&[(201, Content::Object(&shapes::USER))]),
    Operation::new(
        "PATCH /api/v1/users/{id}",
        "Change an account. What makes it active or a super admin's ends its sessions and the access of all its apps.",
        "Everybody their own names and settings; super admins the names of all, and the rest of all but their own.",
    )
    .versioned()
    .conditional()
    .changes(&users::CHANGE)
    .answers(&[(200, Content::Object(&shapes::USER))]),
    Operation::new(
        "DELETE /api/v1/users/{id}",
        "End an account: it stays and can be activated again. Its sessions and the access of all its apps end.",
        "Super admins, but not their own.",
    )
    .conditional()
    .answers(&[(204, Content::Nothing)]),
    Operation::new(
        "POST /api/v1/practitioners",
        "Make a practitioner's account, as with `/api/v1/users`",
        "Super admins.",
    )
    .versioned()
    .takes(&practitioners::NEW)
    .answers(&[(201, Content::Object(&shapes::PRACTITIONER))]),
    Operation::new("PATCH /api/v1/practitioners/{id}", "Change the names of a practitioner", "Super admins.")
        .versioned()
        .conditional()
        .changes(&practitioners::NEW)
        .answers(&[(200, Content::Object(&shapes::PRACTITIONER))]),
    Operation::new(
        "DELETE /api/v1/practitioners/{id}",
        "End a practitioner's account, as with `/api/v1/users`",
        "Super admins, but not their own.",
    )
    .conditional()
    .answers(&[(204, Content::Nothing)]),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let of_practitioners = request.path().starts_with("/api/v1/practitioners");
    match (request.method(), of_practitioners) {
        (&Method::POST, false) => users::create(app, request, &actor).await,
        (&Method::PATCH, false) => users::change(app, request, &actor).await,
        (_, false) => users::end(app, request, &actor).await,
        (&Method::POST, true) => practitioners::create(app, request, &actor).await,
        (&Method::PATCH, true) => practitioners::change(app, request, &actor).await,
        (_, true) => practitioners::end(app, request, &actor).await,
    }
}
