//! `GET /api/v1/studies`: the caller's studies, or those of one organization.

use api::{Content, Kind, Operation, PAGE, Parameter, parameter, shapes};
use runtime::{App, Failure, Function, Needs, Protocol, Request, Response, directory, rest::List, study};
use store::Reader;

/// The function.
pub const FUNCTION: Function =
    Function::new("studies-list", Protocol::Rest, Needs::Database, |app, request| Box::pin(handle(app, request)))
        .describing(&OPERATIONS);

const FILTERS: [Parameter; 1] = [parameter("organization_id", Kind::Integer, "Only the studies of this organization.")];

const OPERATIONS: [Operation; 1] = [Operation::new(
    "GET /api/v1/studies",
    "The caller's studies",
    "Practitioners: those of their organizations. Patients: those they are enrolled in.",
)
.with(&[&PAGE, &FILTERS])
.answers(&[(200, Content::Page(&shapes::study::STUDY))])];

async fn handle(app: &App, request: &Request) -> Result<Response, Failure> {
    let actor = request.actor(app).await?;
    let list = List::parse(app, request, actor.user).await?;
    let organization = list.id("organization_id")?;
    directory::permit_organization(app, request, &actor, organization).await?;
    let page = app.store().await?.study_page(Reader::from(&actor), organization, list.slice()).await?;
    let rows: Vec<_> = page.rows.iter().map(study::read).collect();
    let next = page.rows.last().filter(|_| page.more).map(|study| i64::from(study.id));
    list.page_that_exists(app, actor.user, page.total, &rows, next).await
}
