//! `GET /api/v1/organizations`: the organizations that the caller may see, with the caller's role in each.
//! `GET /api/v1/users/organizations`: those in which the caller has a role.

use api::{Content, Operation, PAGE, shapes};
use http::StatusCode;
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, json, rest::List};
use store::{Organization, Reader};

/// The function.
pub const FUNCTION: Function =
    Function::new("organizations-list", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const OPERATIONS: [Operation; 2] = [
    Operation::new(
        "GET /api/v1/organizations",
        "The caller's organizations",
        "Practitioners: those in which they have a role. Patients: those that they belong to. Super admins: all.",
    )
    .with(&[&PAGE])
    .answers(&[(200, Content::Page(&shapes::ORGANIZATION))]),
    Operation::new(
        "GET /api/v1/users/organizations",
        "The organizations in which the caller has a role",
        "Everybody; empty for patients and super admins.",
    )
    .answers(&[(200, Content::List(&shapes::ORGANIZATION))]),
];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    if request.path().ends_with("/users/organizations") {
        // Only a practitioner has roles.
        let rows: Vec<Organization> = match actor.practitioner() {
            Some(_) => app.store().await?.organizations(Reader::from(&actor), &[]).await?,
            None => Vec::new(),
        };
        return Ok(json(StatusCode::OK, &rows)?);
    }
    let list = List::parse(app, request, actor.user).await?;
    let page = app.store().await?.organization_page(Reader::from(&actor), list.slice()).await?;
    let next = page.rows.last().filter(|_| page.more).map(|organization| i64::from(organization.id));
    list.page_that_exists(app, actor.user, page.total, &page.rows, next).await
}
